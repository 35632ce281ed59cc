// What needs no running: format and lint, types, layers, documents.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { brokenPromises, generatedDocuments, unknownRows } from "./documents.mjs";
import { layerFaults } from "./layers.mjs";
import { findNode } from "./modules.mjs";
import { root } from "./paths.mjs";

/** Runs a program of node_modules; its output when it fails, else undefined. */
function program(file, args) {
  return new Promise((resolve) => {
    const child = spawn(findNode(), [path.join(root, "node_modules", file), ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data));
    child.on("error", (error) => resolve([error.message]));
    child.on("close", (code) => resolve(code === 0 ? [] : [text.trim()]));
  });
}

function staleDocuments() {
  return [...generatedDocuments()]
    .filter(
      ([file, text]) =>
        !fs.existsSync(path.join(root, file)) || fs.readFileSync(path.join(root, file), "utf8") !== text,
    )
    .map(([file]) => `${file} is stale: npm run docs`);
}

const checks = {
  "format and lint": () => program("@biomejs/biome/bin/biome", ["check", "--max-diagnostics=20"]),
  types: () => program("typescript/bin/tsc", ["-p", "."]),
  layers: layerFaults,
  documents: () => [...unknownRows(), ...staleDocuments(), ...brokenPromises()],
};

/** Runs every check, says each one's end in a line, and returns how many passed and failed. */
export async function runChecks() {
  const counts = { passed: 0, failed: 0 };
  for (const [name, check] of Object.entries(checks)) {
    const began = performance.now();
    const faults = await check();
    const time = `${((performance.now() - began) / 1000).toFixed(1)} s`;
    counts[faults.length === 0 ? "passed" : "failed"] += 1;
    process.stdout.write(`${faults.length === 0 ? "ok  " : "FAIL"} ${name} (${time})\n`);
    for (const fault of faults) process.stdout.write(`${fault}\n`);
  }
  return counts;
}
