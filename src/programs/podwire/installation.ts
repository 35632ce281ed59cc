import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isBundled } from "#base/entry.ts";
import { PodwireError } from "#base/errors.ts";
import type { Installation } from "#lab/parent/index.ts";

/**
 * Where this program's files are. A cluster's programs run from the bundles.
 * @throws PodwireError "NotBundled" when started from the sources
 */
export function installation(): Installation {
  if (!isBundled)
    throw new PodwireError("NotBundled", "clusters run from the bundles; start podwire by ./podwire or npm start");
  const tools = join(process.env["PODWIRE_TOOLS"] || "/nonexistent", "root");
  const dist = dirname(resolve(process.argv[1] ?? ""));
  return { program: dist, node: process.execPath, tools: existsSync(tools) ? tools : "", assets: dirname(dist) };
}
