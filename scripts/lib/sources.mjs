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

/** Names of tests and groups of tests that begin with rows of the inventory: `{ rows, name, part }` for each. */
export function testNames(text) {
  const names = /\(\s*(["'`])((?:[A-Z]\d\d)(?:[ ,+/–-]+[A-Z]\d\d)*)\b((?:\\.|(?!\1)[^\\])*)\1/g;
  return [...text.matchAll(names)].map((match) => ({
    rows: expandRows(match[2]),
    name: (match[2] + match[3]).replace(/\s+/g, " "),
    part: match[3].includes("(part"),
  }));
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
