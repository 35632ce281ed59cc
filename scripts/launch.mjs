// Starts a program of podwire under a Node new enough, after setting up what it needs.
//
//   node scripts/launch.mjs podwire up …   a bundled program
//   node scripts/launch.mjs bench NAME …   the benchmarks, from their sources
//   node scripts/launch.mjs --prepare      only sets up (the `podwire` script calls this when something is stale)
//
// Plain JavaScript without dependencies: it runs under Node 20 on a fresh clone.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ensureBundles } from "./lib/bundle.mjs";
import { ensureModules, findNode } from "./lib/modules.mjs";
import { dist, distNode, root } from "./lib/paths.mjs";
import { Refusal, runMain } from "./lib/say.mjs";
import { ensureTools, noteName, toolsDirectory } from "./lib/tools.mjs";

/** Commands that serve on this machine alone; the `podwire` script has the same list. */
const withoutTools = new Set(["dns", "kube-proxy", "kube-apiserver"]);

async function prepare({ install, tools }) {
  await ensureModules();
  await ensureBundles();
  if (tools) await ensureTools({ install });
  else noteName();
}

/** Runs a program in our place: same streams, same signals, same end. */
function replaceBy(node, argv) {
  const child = spawn(node, argv, { stdio: "inherit", env: { ...process.env, PODWIRE_TOOLS: toolsDirectory() } });
  // A terminal's Ctrl-C reaches the child by itself; what is sent to us alone is passed on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (signal === null) return resolve(code);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    });
  });
}

await runMain(async () => {
  const [program, ...args] = process.argv.slice(2);
  if (program === undefined) throw new Refusal("which program? (node scripts/launch.mjs PROGRAM ARGS…)");
  const tools = !args.includes("--no-tools") && !(program === "podwire" && withoutTools.has(args[0]));
  await prepare({ install: !args.includes("--no-install"), tools });
  if (program === "--prepare") return 0;
  if (program === "bench") return replaceBy(findNode(), [path.join(root, "bench", "run.ts"), ...args]);
  const file = path.join(dist, `${program}.cjs`);
  if (!fs.existsSync(file)) throw new Refusal(`there is no program ${program}`);
  return replaceBy(fs.readFileSync(distNode, "utf8").trim(), [file, ...args]);
});
