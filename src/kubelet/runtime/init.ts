import { existsSync } from "node:fs";

/** tini, or nothing: a container's program is then its own first process. */
export function findInit(): readonly string[] {
  const found = ["/usr/bin/tini", "/usr/bin/tini-static", "/sbin/tini"].find((p) => existsSync(p));
  return found ? [found, "--"] : [];
}
