import { statSync } from "node:fs";
import { resolve } from "node:path";
import { errorMessage, hasCode } from "#base/errors.ts";
import type { Setup } from "../../core/index.ts";
import { CorefileError, noBlock, oneArg } from "../../corefile/index.ts";

/** `root PATH`: where the relative file names of the other plugins are. */
export const setup: Setup = (directive, { directory, log }) => {
  noBlock(directive);
  const path = resolve(directory, oneArg(directive, "root PATH"));
  try {
    statSync(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) {
      throw new CorefileError(directive.at, `unable to access root path '${path}': ${errorMessage(error)}`);
    }
    log.warn(`Root path does not exist: ${path}`);
  }
  return { name: "root", directory: path };
};
