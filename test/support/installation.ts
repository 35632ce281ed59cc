import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Installation } from "#lab/parent/index.ts";

/** The checkout. */
export const checkout = resolve(dirname(new URL(import.meta.url).pathname), "../..");

function line(file: string): string {
  return readFileSync(join(checkout, file), "utf8").trim();
}

/** The bundles of this checkout, and the tools that they go with; `npm test` makes both before any test runs. */
export function installation(): Installation {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return {
    program: join(checkout, "dist"),
    node: line("dist/node-path"),
    tools: join(process.env["PODWIRE_TOOLS"] ?? join(cache, "podwire", line("dist/tools-name")), "root"),
    assets: checkout,
  };
}
