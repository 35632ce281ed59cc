import { mkdirSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "../..");

/**
 * Makes one file of a worker's sources, as programs are run from: what a start from sources costs of memory and time is
 * no part of what is measured.
 * @returns its path
 */
export async function bundleWorker(source: string): Promise<string> {
  // Below node_modules, where the native part of koffi is found from.
  const folder = path.join(root, "node_modules/.podwire-bench");
  mkdirSync(folder, { recursive: true });
  const outfile = path.join(folder, `${path.basename(source, ".ts")}.mjs`);
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    external: ["@koromix/*", "bufferutil", "utf-8-validate"],
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url); const __filename = import.meta.filename, __dirname = import.meta.dirname;',
    },
    logLevel: "error",
  });
  return outfile;
}
