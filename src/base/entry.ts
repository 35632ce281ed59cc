import { existsSync } from "node:fs";
import path from "node:path";

declare const PODWIRE_BUNDLED: boolean | undefined;

/** True in a bundled program, false when the sources run as they are. The bundler defines the constant. */
export const isBundled: boolean = typeof PODWIRE_BUNDLED !== "undefined";

/** The folder that holds `dist/` and, outside of bundles, `src/`: the checkout, or /opt/podwire in a machine. */
export const appRoot: string = isBundled
  ? path.dirname(import.meta.dirname)
  : path.resolve(import.meta.dirname, "../..");

/** The folder of the bundles: self-contained, so it can be copied or bound anywhere. */
export const distDirectory: string = path.join(appRoot, "dist");

/**
 * What Node is told when it runs a program of a cluster, of which there are many beside each other:
 * * `--use-openssl-ca`: their TLS names its own authority; without this, loading node:tls parses Mozilla's list on a
 *   thread (20 ms of CPU each, Node 24.21);
 * * a small young generation and one helper thread: what a start makes stays, and copying it about costs more than
 *   keeping it. Start of three nodes and the shop on two cores: 3.2 s of CPU and 353 MB → 2.7 s and 318 MB.
 */
export const nodeOptions: readonly string[] = ["--use-openssl-ca", "--max-semi-space-size=1", "--v8-pool-size=1"];

/**
 * As nodeOptions, for the API server, of which there is one and which is written to all the time: with the small young
 * generation each collection under load keeps garbage that would have been gone in the next (10,000 pods on two busy
 * cores: 337 → 197 ms of CPU a list, 41 → 30 µs a watch event, 261 → 233 MB; 2 MB more before the first pod).
 */
export const apiServerNodeOptions: readonly string[] = [...nodeOptions, "--max-semi-space-size=16"];

/**
 * As nodeOptions, for a service proxy that is a program of its own: of what it reads of a large cluster most is garbage
 * at once (10,000 Services of ten endpoints: a quarter less CPU for the first look, 8 MB more).
 */
export const proxyNodeOptions: readonly string[] = [...nodeOptions, "--max-semi-space-size=8"];

/**
 * Path of a program's first file, to be given to Node: its bundle when we run bundled, else its source.
 * @param name folder name below src/programs
 * @throws Error when there is no such program
 */
export function programFile(name: string): string {
  const file = isBundled
    ? path.join(distDirectory, `${name}.cjs`)
    : path.join(appRoot, "src/programs", name, "main.ts");
  if (!existsSync(file)) throw new Error(`there is no program ${name} (${file})`);
  return file;
}

/**
 * Path of a worker thread's first file, for `new Worker(…)`: its bundle when we run bundled, else its source.
 * @param source path below src, such as `kernel/process/spawner.worker.ts`; the last part is unique in src
 */
export function workerFile(source: string): string {
  if (!source.endsWith(".worker.ts")) throw new Error(`${source}: a worker's source is named *.worker.ts`);
  if (!isBundled) return path.join(appRoot, "src", source);
  return path.join(distDirectory, `${path.basename(source, ".ts")}.cjs`);
}
