import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "./installation.ts";
import { copy, type Staging } from "./staging.ts";

/** The ways by which a person starts a cluster in a checkout, as words before the flags. */
export interface Launches {
  readonly "npm start": readonly [string, ...string[]];
  readonly "./podwire": readonly [string, ...string[]];
}

/** Makes a staging's folder a checkout, built and with its dependencies, in which clusters start as people start them. */
export function addCheckout({ directory }: Staging): Launches {
  // With their times, by which the script tells that nothing has to be built.
  for (const name of ["src", "scripts"]) copy(join(checkout, name), join(directory, name));
  for (const name of ["podwire", "package.json", "package-lock.json"])
    copy(join(checkout, name), join(directory, name));
  symlinkSync(join(checkout, "node_modules"), join(directory, "node_modules"));
  return {
    "npm start": ["npm", "--prefix", directory, "--no-update-notifier", "start", "--"],
    "./podwire": [join(directory, "podwire"), "up"],
  };
}

/** Makes a staging's checkout one that has to be built before it runs. */
export function makeStale({ directory }: Staging): void {
  rmSync(join(directory, "dist/stamp"), { force: true });
}
