// Bundles: one file per program and per worker, so that a cluster of many processes does not load hundreds of files.
//
//   dist/<name>.cjs        starts the bundle from its code cache
//   dist/<name>.main.cjs   the bundle
//   dist/<name>.code       V8's compiled code of it (an older or newer V8 refuses it and compiles for itself)
//   dist/node_modules/     the native part of koffi
//   dist/node-path, stamp  which Node runs them; when the build began
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import { findNode, refuseForeignCheckout } from "./modules.mjs";
import { dist, distNode, distStamp, root } from "./paths.mjs";
import { Refusal } from "./say.mjs";

/** What the bundles are made from; the `podwire` script looks at the same list. */
const inputs = ["src", "package.json", "package-lock.json", "scripts/launch.mjs", "scripts/lib"];

function newerThan(entry, time) {
  const stat = fs.statSync(entry);
  if (stat.mtimeMs > time) return true;
  if (!stat.isDirectory()) return false;
  return fs.readdirSync(entry).some((name) => newerThan(path.join(entry, name), time));
}

/** True when no source is newer than the bundles. */
export function bundlesAreFresh() {
  let time;
  try {
    time = fs.statSync(distStamp).mtimeMs;
    if (!fs.existsSync(fs.readFileSync(distNode, "utf8").trim())) return false;
  } catch {
    return false;
  }
  return !inputs.some((name) => newerThan(path.join(root, name), time));
}

function filesBelow(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(file) : [file];
  });
}

/** Bundle name → source file, for every program and worker. */
export function entryPoints() {
  const entries = new Map();
  const add = (name, file) => {
    if (entries.has(name)) throw new Refusal(`two sources want the bundle ${name}: ${entries.get(name)} and ${file}`);
    entries.set(name, file);
  };
  for (const file of filesBelow(path.join(root, "src"))) {
    const program = /\/src\/programs\/([^/]+)\/main\.ts$/.exec(file);
    if (program) add(program[1], file);
    if (file.endsWith(".worker.ts")) add(path.basename(file, ".ts"), file);
  }
  return entries;
}

/**
 * The first file of a program: runs the bundle from its code cache. It is its own cache rather than Node's compile
 * cache, since that one is keyed by user id and file times, and the bundles run under other ids at another place.
 */
const loader = (name) => `"use strict";
const { readFileSync } = require("node:fs"), vm = require("node:vm");
const file = __dirname + "/${name}.main.cjs";
let cachedData;
try { cachedData = readFileSync(__dirname + "/${name}.code"); } catch {}
const script = new vm.Script(readFileSync(file, "latin1"), {
  filename: file, cachedData, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
if (process.env.PODWIRE_CODE_CACHE === "say") console.error("${name}: code cache " + (script.cachedDataRejected === false ? "taken" : "refused"));
script.runInThisContext()(exports, require, module, file, __dirname);
`;

/** Compiles every bundle whole and writes its code; runs under the Node that will read it. */
const compiler = `
const fs = require("node:fs"), vm = require("node:vm"), v8 = require("node:v8");
v8.setFlagsFromString("--no-lazy");
v8.setFlagsFromString("--no-flush-bytecode");
const made = process.argv.slice(1).map((base) => {
  const script = new vm.Script(fs.readFileSync(base + ".main.cjs", "latin1"), {
    filename: base + ".main.cjs", importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return { base, script };
});
v8.setFlagsFromString("--lazy");
v8.setFlagsFromString("--flush-bytecode");
for (const { base, script } of made) fs.writeFileSync(base + ".code", script.createCachedData());
`;

async function bundleInto(folder, node) {
  const esbuild = await import(path.join(root, "node_modules", "esbuild", "lib", "main.js"));
  const entries = entryPoints();
  await esbuild
    .build({
      entryPoints: [...entries].map(([name, file]) => ({ in: file, out: `${name}.main` })),
      outdir: folder,
      outExtension: { ".js": ".cjs" },
      bundle: true,
      platform: "node",
      format: "cjs",
      target: "node24",
      charset: "ascii",
      keepNames: false,
      legalComments: "none",
      external: ["@koromix/*", "bufferutil", "utf-8-validate", "esbuild"],
      define: {
        PODWIRE_BUNDLED: "true",
        "import.meta.url": "podwireBundleUrl",
        "import.meta.dirname": "__dirname",
        "import.meta.filename": "__filename",
      },
      banner: {
        js: '(function (exports, require, module, __filename, __dirname) { const podwireBundleUrl = require("node:url").pathToFileURL(__filename).href;',
      },
      footer: { js: "})" },
      logLevel: "silent",
    })
    .catch((error) => {
      const lines = (error.errors ?? []).map(
        (e) => `${e.location ? `${e.location.file}:${e.location.line}: ` : ""}${e.text}`,
      );
      throw new Refusal(`the sources do not bundle:\n${lines.join("\n") || error.message}`);
    });
  for (const name of entries.keys()) fs.writeFileSync(path.join(folder, `${name}.cjs`), loader(name));
  const bases = [...entries.keys()].map((name) => path.join(folder, name));
  const compiled = spawnSync(node, ["-e", compiler, ...bases], { stdio: ["ignore", 2, 2] });
  if (compiled.status !== 0) throw new Refusal("the bundles do not compile; Node's words are above");
}

/** The native half of koffi alone: its loader's look at the ELF header and the musl build are not needed. */
function copyNative(folder) {
  const name = `@koromix/koffi-linux-${process.arch}`;
  const from = path.join(root, "node_modules", name, `linux_${process.arch}`, "koffi.node");
  const to = path.join(folder, "node_modules", name);
  fs.mkdirSync(to, { recursive: true });
  fs.copyFileSync(from, path.join(to, "koffi.node"));
  fs.writeFileSync(path.join(to, "package.json"), JSON.stringify({ name, main: "index.js" }));
  fs.writeFileSync(path.join(to, "index.js"), 'module.exports = require("./koffi.node");\n');
}

/** Bundles when a source changed. The new folder takes the old one's place at once. */
export async function ensureBundles() {
  if (bundlesAreFresh()) return;
  refuseForeignCheckout("the programs are not built");
  await withLock(path.join(root, ".podwire-build.lock"), async () => {
    if (bundlesAreFresh()) return;
    const began = new Date();
    const node = findNode();
    const fresh = `${dist}.new-${process.pid}`;
    const old = `${dist}.old-${process.pid}`;
    try {
      fs.mkdirSync(fresh);
      await bundleInto(fresh, node);
      copyNative(fresh);
      fs.writeFileSync(path.join(fresh, path.basename(distNode)), `${node}\n`);
      fs.writeFileSync(path.join(fresh, path.basename(distStamp)), "");
      fs.utimesSync(path.join(fresh, path.basename(distStamp)), began, began);
      if (fs.existsSync(dist)) fs.renameSync(dist, old);
      fs.renameSync(fresh, dist);
    } finally {
      fs.rmSync(fresh, { recursive: true, force: true });
      fs.rmSync(old, { recursive: true, force: true });
    }
  });
}
