import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { inNetns } from "#kernel/namespaces/index.ts";
import { type ConnectedSocket, openSockDiag, type SockDiag } from "#kernel/sockdiag/index.ts";

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
 * @param namespaces files of network namespaces; one that is gone meanwhile is passed over, and where one refuses the
 * others have their turn all the same
 * @param open the sockets of a namespace, by its file; undefined: it is gone
 * @returns how many were ended
 * @throws NetlinkError where the kernel cannot, or lets this process not: of the first namespace that refused
 */
export function endConnected(
  namespaces: readonly string[],
  isStale: (socket: Pick<ConnectedSocket, "cookie" | "peer" | "port">) => boolean,
  open: (file: string) => SockDiag | undefined = socketsOf,
): number {
  let ended = 0;
  const failures: unknown[] = [];
  for (const file of namespaces) {
    try {
      const diag = open(file);
      try {
        if (diag) ended += diag.end(diag.connectedUdp().filter(isStale));
      } finally {
        diag?.close();
      }
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length) throw failures[0];
  return ended;
}

function socketsOf(file: string): SockDiag | undefined {
  const fd = opened(file);
  if (fd === undefined) return undefined;
  try {
    return inNetns({ fd }, openSockDiag);
  } finally {
    closeSync(fd);
  }
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
