// The documents that are made from the sources, in whole or in part.
import fs from "node:fs";
import path from "node:path";
import { folderImports, layers } from "./layers.mjs";
import { root } from "./paths.mjs";
import { filesBelow, isTest, read, testNames } from "./sources.mjs";

/** The picture of docs/architecture.md. Arrows to base/ are left out: everything uses it. */
export function importDiagram() {
  const edges = folderImports();
  const present = layers.map((names) => names.filter((name) => edges.has(name))).filter((names) => names.length > 0);
  const lines = ["```mermaid", "flowchart TD"];
  present.forEach((names, index) => {
    lines.push(`  subgraph layer${index}[" "]`, `    ${names.join("\n    ")}`, "  end");
  });
  for (const names of present) {
    for (const from of names) {
      const targets = [...edges.get(from)].filter((to) => to !== "base").sort();
      lines.push(...targets.map((to) => `  ${from} --> ${to}`));
    }
  }
  return [...lines, "```"].join("\n");
}

/** Row id → its tests, over all test sources. */
function testsByRow() {
  const rows = new Map();
  // Suites that run on several clusters stand in test/support/.
  const hasTests = (name) => name.endsWith(".test.ts") || name.startsWith("test/support/");
  for (const file of [...filesBelow("src"), ...filesBelow("test")].filter(hasTests)) {
    for (const { rows: ids, name, part } of testNames(read(file))) {
      for (const id of ids) rows.set(id, [...(rows.get(id) ?? []), { file, name, part }]);
    }
  }
  return rows;
}

/** Rows named by tests that docs/inventory.json does not know. */
export function unknownRows() {
  const known = new Set(JSON.parse(read("docs/inventory.json")).map((row) => row.id));
  return [...testsByRow()]
    .filter(([id]) => !known.has(id))
    .map(([id, [first]]) => `${first.file}: no row ${id} in docs/inventory.json`);
}

function stateOf(tests) {
  if (!tests) return "–";
  return tests.every((entry) => entry.part) ? "part" : "whole";
}

/** docs/coverage.md */
export function coveragePage() {
  const tests = testsByRow();
  const inventory = JSON.parse(read("docs/inventory.json"));
  const count = (state) => inventory.filter(({ id }) => stateOf(tests.get(id)) === state).length;
  const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  const lines = [
    "# What is tested",
    "",
    "Made from the names of tests by `npm run docs`; do not edit. A row is whole when tests cover each of its clauses;",
    "until then its tests say which part they prove.",
    "",
    `${count("whole")} rows whole, ${count("part")} in part, ${count("–")} without a test.`,
    "",
    "| row | what | state | tests |",
    "| --- | --- | --- | --- |",
  ];
  for (const { id, title } of inventory) {
    const found = tests.get(id);
    const words = [...new Set((found ?? []).map(({ file, name }) => `[${cell(name.slice(4) || id)}](../${file})`))];
    lines.push(`| ${id} | ${cell(title)} | ${stateOf(found)} | ${words.join("<br>")} |`);
  }
  return `${lines.join("\n")}\n`;
}

const marks = ["<!-- made by `npm run docs` -->", "<!-- end -->"];

function withSection(text, section) {
  const [before, after] = [text.indexOf(marks[0]), text.indexOf(marks[1])];
  if (before < 0 || after < 0) return text;
  return `${text.slice(0, before)}${marks[0]}\n${section}\n${text.slice(after)}`;
}

/** File → what it has to contain. */
export function generatedDocuments() {
  return new Map([
    ["docs/architecture.md", withSection(read("docs/architecture.md"), importDiagram())],
    ["docs/coverage.md", coveragePage()],
  ]);
}

/** Commands of the podwire program, as its own source declares them. */
function commands() {
  const sources = filesBelow("src/programs/podwire")
    .filter((file) => !isTest(file))
    .map(read)
    .join("\n");
  return new Set([...sources.matchAll(/\.command\(\s*"([a-z-]+)/g)].map((match) => match[1]));
}

/** What README.md and docs/*.md name and the checkout does not have. */
export function brokenPromises() {
  const scripts = JSON.parse(read("package.json")).scripts;
  const known = commands();
  return ["README.md", "CONTRIBUTING.md", ...filesBelow("docs", ".md")].flatMap((file) => {
    const text = read(file);
    const lost = [];
    for (const [, target] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
      if (!fs.existsSync(path.join(root, path.dirname(file), target))) lost.push(`${file}: there is no ${target}`);
    }
    for (const [, name] of text.matchAll(/\bnpm run ([a-z:]+)/g)) {
      if (!scripts[name]) lost.push(`${file}: package.json has no script ${name}`);
    }
    // A command is in code quotes, or begins a line of code.
    for (const [, name] of text.matchAll(/(?:`|^ *(?:\$ )?)(?:\.\/)?podwire ([a-z][a-z-]*)(?=[\s`]|$)/gm)) {
      if (!known.has(name)) lost.push(`${file}: podwire has no command ${name}`);
    }
    return [...new Set(lost)];
  });
}
