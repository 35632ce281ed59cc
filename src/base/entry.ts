import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

declare const __PODWIRE_BUNDLED__: boolean | undefined;

/** True in a bundle that `scripts/bundle.mjs` made, false when the sources run as they are. */
export function isBundled(): boolean {
  return typeof __PODWIRE_BUNDLED__ !== "undefined" && __PODWIRE_BUNDLED__;
}

/**
 * File of a worker thread's code.
 * @param name the worker's name: its source is `<name>.worker.ts`
 * @param from `import.meta.url` of the module beside it
 */
export function workerFile(name: string, from: string): string {
  const here = dirname(fileURLToPath(from));
  return join(here, isBundled() ? `${name}.worker.cjs` : `${name}.worker.ts`);
}
