import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { inNetns } from "#kernel/namespaces/index.ts";
import { type ConnectedSocket, openSockDiag } from "#kernel/sockdiag/index.ts";

/** Files of the network namespaces in which processes of a control group, or of groups below it, run: one of each. */
export function namespacesOf(group: string): string[] {
  const found = new Map<string, string>();
  for (const pid of processesOf(group)) {
    const file = `/proc/${pid}/ns/net`;
    try {
      found.set(readlinkSync(file), file);
    } catch {
      // It has ended, or is in a pid namespace that this process does not see.
    }
  }
  return [...found.values()];
}

/**
 * Ends connected UDP sockets: what they are connected to is gone, and they would send to it for ever. What waits on one
 * fails with ECONNABORTED, and its program connects anew, as after a socket's own error.
 * @param namespaces files of network namespaces; one that is gone meanwhile is passed over
 * @returns how many were ended
 * @throws NetlinkError where the kernel cannot, or lets this process not
 */
export function endConnected(
  namespaces: readonly string[],
  isStale: (socket: Pick<ConnectedSocket, "cookie" | "peer" | "port">) => boolean,
): number {
  let ended = 0;
  for (const file of namespaces) {
    const fd = opened(file);
    if (fd === undefined) continue;
    try {
      const diag = inNetns({ fd }, openSockDiag);
      try {
        ended += diag.end(diag.connectedUdp().filter(isStale));
      } finally {
        diag.close();
      }
    } finally {
      closeSync(fd);
    }
  }
  return ended;
}

function opened(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch {
    return undefined;
  }
}

function processesOf(group: string): number[] {
  try {
    const own = readFileSync(join(group, "cgroup.procs"), "latin1").split("\n").map(Number).filter(Boolean);
    const folders = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...own, ...folders.flatMap(({ name }) => processesOf(join(group, name)))];
  } catch {
    return []; // The group is gone.
  }
}
