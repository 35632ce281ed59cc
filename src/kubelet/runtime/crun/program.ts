import { findProgram } from "#kernel/process/index.ts";

/** How crun comes to be on a machine. */
export const installHint = "install it by: apt-get install crun (dnf install crun)";

/** Where crun is, as one finds programs; undefined when it is not on this machine. */
export function findCrun(path = process.env["PATH"]): string | undefined {
  try {
    return findProgram("crun", { root: "", cwd: "/", path });
  } catch {
    return undefined;
  }
}
