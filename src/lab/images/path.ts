import { join } from "node:path";
import { stateHome } from "#lab/state/index.ts";

/** Where a user's images are: no cluster can have this name. */
export function imageStorePath(): string {
  return join(stateHome(), "_images");
}
