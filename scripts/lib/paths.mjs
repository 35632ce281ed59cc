// Where things are: the checkout, what is built in it, and the user's cache.

import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
/** The bundles, with all that they need: this folder is self-contained and may be copied anywhere. */
export const dist = path.join(root, "dist");
/** Written last when the bundles are complete; its time is that of the build's begin. */
export const distStamp = path.join(dist, "stamp");
/** One line: the Node program that runs the bundles. Read by the `podwire` shell script. */
export const distNode = path.join(dist, "node-path");
/** Hash of the lock file that node_modules was installed from. */
export const modulesStamp = path.join(root, "node_modules", ".podwire-stamp");
/** The oldest Node that runs podwire. */
export const oldestNode = 24;

/** The user's cache folder for podwire. */
export function cacheDirectory(env = process.env) {
  const base = env.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(os.homedir(), ".cache"), "podwire");
}
