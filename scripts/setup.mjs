// Sets up what a cluster needs on this machine, or says where it is.
//
//   node scripts/setup.mjs               dependencies, bundles, tools
//   node scripts/setup.mjs --print-dir   the tools' folder (it may not be there yet)
//   node scripts/setup.mjs --again       throws the tools away first
import fs from "node:fs";
import { ensureBundles } from "./lib/bundle.mjs";
import { ensureModules } from "./lib/modules.mjs";
import { Refusal, runMain, say } from "./lib/say.mjs";
import { ensureTools, missingPrograms, toolsDirectory } from "./lib/tools.mjs";

await runMain(async () => {
  const args = process.argv.slice(2);
  const unknown = args.find((word) => !["--print-dir", "--again", "--no-install"].includes(word));
  if (unknown) throw new Refusal(`setup knows --print-dir, --again and --no-install, not ${unknown}`);
  if (args.includes("--print-dir")) {
    process.stdout.write(`${toolsDirectory()}\n`);
    return 0;
  }
  if (args.includes("--again")) fs.rmSync(toolsDirectory(), { recursive: true, force: true });
  await ensureModules();
  await ensureBundles();
  await ensureTools({ install: !args.includes("--no-install") });
  const missing = missingPrograms();
  say(
    missing.length === 0 ? `ready; the machines' tools are in ${toolsDirectory()}` : `missing: ${missing.join(", ")}`,
  );
  return missing.length === 0 ? 0 : 1;
});
