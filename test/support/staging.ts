import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkout, installation } from "./installation.ts";

/** An installation of its own, readable by everybody: linked or copied from the checkout. */
export interface Staging {
  readonly directory: string;
  readonly node: string;
  readonly podwire: string;
  readonly tools: string;
  remove(): void;
}

/** Copies a file or a folder with its times. */
export function copy(from: string, to: string): void {
  // Hard links where the file systems allow: 130 MB of Node need not be copied for every test.
  try {
    execFileSync("cp", ["-al", from, to], { stdio: "ignore" });
  } catch {
    rmSync(to, { recursive: true, force: true });
    execFileSync("cp", ["-a", from, to]);
  }
}

/** Makes an installation below /tmp. */
export function makeStaging(): Staging {
  const from = installation();
  const directory = mkdtempSync("/tmp/podwire-staging-");
  chmodSync(directory, 0o755);
  copy(from.program, join(directory, "dist"));
  copy(from.node, join(directory, "node"));
  copy(join(from.tools, ".."), join(directory, "tools"));
  for (const name of ["manifests", "examples"]) copy(join(checkout, name), join(directory, name));
  return {
    directory,
    node: join(directory, "node"),
    podwire: join(directory, "dist/podwire.cjs"),
    tools: join(directory, "tools"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
