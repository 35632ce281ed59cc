// Writes the documents that are made from the sources; with --check only says which are stale.
import fs from "node:fs";
import path from "node:path";
import { generatedDocuments } from "./lib/documents.mjs";
import { root } from "./lib/paths.mjs";

const check = process.argv.includes("--check");
for (const [file, text] of generatedDocuments()) {
  const target = path.join(root, file);
  if (fs.existsSync(target) && fs.readFileSync(target, "utf8") === text) continue;
  if (check) process.exitCode = 1;
  else fs.writeFileSync(target, text);
  process.stdout.write(`${file} ${check ? "is stale: npm run docs" : "written"}\n`);
}
