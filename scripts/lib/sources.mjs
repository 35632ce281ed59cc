// Reads imports and test names out of the sources: enough for the layer check and the generated documents.
import fs from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";

/** Every file below a folder of the checkout, as paths relative to the checkout, sorted; absent folders are empty. */
export function filesBelow(folder, ending = ".ts") {
  const top = path.join(root, folder);
  if (!fs.existsSync(top)) return [];
  return fs
    .readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !entry.name.endsWith(".d.ts"))
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

export const read = (file) => fs.readFileSync(path.join(root, file), "utf8");

/** Tests and what only tests use. */
export const isTest = (file) => /\.test\.ts$|\/testing\//.test(file) || file.startsWith("test/");

const statement = /^[ \t]*(?:import|export)\b(?:[^;"']*?\bfrom)?\s*["']([^"']+)["']/gm;
const dynamic = /\bimport\(\s*["']([^"']+)["']/g;

/** What a TypeScript source imports: `{ target, line }` for each. */
export function importsOf(text) {
  return [statement, dynamic].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      target: match[1],
      line: text.slice(0, match.index + match[0].length).split("\n").length,
    })),
  );
}

/** Every name of a test or of a group of tests, in their order, each with those within it. */
function titles(text) {
  const call = /\b(?:describe|it|test)\b(?:\.\w+(?:\((?:[^()]|\([^()]*\))*\))?)*\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/g;
  const found = [...text.matchAll(call)].map((match) => ({ at: match.index, name: match[2].replace(/\s+/g, " ") }));
  const open = [];
  for (const title of found) {
    const line = text.slice(text.lastIndexOf("\n", title.at) + 1, title.at);
    title.indent = /^\s*/.exec(line)[0].length;
    title.inner = [];
    // The formatter indents what is within.
    while (open.length > 0 && open.at(-1).indent >= title.indent) open.pop();
    title.outer = open.at(-1);
    title.outer?.inner.push(title);
    open.push(title);
  }
  return found;
}

const isPart = (title) => title.name.includes("(part");

/** Whether a name proves a clause only: by its own words, by those around it, or by those of each test within it. */
function provesPart(title) {
  for (let around = title; around; around = around.outer) if (isPart(around)) return true;
  const leaves = (one) =>
    one.inner.length === 0 ? [isPart(one)] : one.inner.flatMap((i) => (isPart(i) ? [true] : leaves(i)));
  return leaves(title).every(Boolean);
}

/** Names of tests and groups of tests that begin with rows of the inventory: `{ rows, name, part }` for each. */
export function testNames(text) {
  return titles(text).flatMap((title) => {
    const rows = /^[A-Z]\d\d(?:[ ,+/–-]+[A-Z]\d\d)*\b/.exec(title.name)?.[0];
    return rows ? [{ rows: expandRows(rows), name: title.name, part: provesPart(title) }] : [];
  });
}

/** `L01, L02` and `L01–L03` as lists of ids. */
function expandRows(text) {
  return text.split(/[ ,+/]+/).flatMap((word) => {
    const [first, last] = word.split(/[–-]/);
    if (!last) return [first];
    const numbers = Array.from({ length: Number(last.slice(1)) - Number(first.slice(1)) + 1 }, (_, i) => i);
    return numbers.map((i) => first[0] + String(Number(first.slice(1)) + i).padStart(2, "0"));
  });
}
