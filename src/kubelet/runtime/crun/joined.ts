import { closeSync, openSync, readFileSync } from "node:fs";
import { SysError } from "#kernel/ffi/index.ts";
import type { NamespaceKind, SpawnRequest } from "#kernel/process/index.ts";
import type { NamespacePath } from "./config.ts";

/** Files below /proc/PID/ns. */
const FILES: Readonly<Record<NamespaceKind, string>> = {
  net: "net",
  mount: "mnt",
  uts: "uts",
  ipc: "ipc",
  pid: "pid",
  cgroup: "cgroup",
};
const ESRCH = 3;

/** Namespaces held open, so that their paths stay valid whatever becomes of who lives there. */
export interface JoinedNamespaces {
  readonly paths: readonly NamespacePath[];
  close(): void;
}

/** The process of a descriptor (pidfd_open(2), proc_pid_fdinfo(5)). @throws SysError ESRCH when it has ended */
function processOf(pidfd: number): number {
  // A container that had ended before it could be taken over has no descriptor.
  if (pidfd < 0) throw new SysError("setns", ESRCH, "join");
  const pid = Number(/^Pid:\s+(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, "latin1"))?.[1] ?? -1);
  if (pid <= 0) throw new SysError("setns", ESRCH, "join");
  return pid;
}

function openOf(pid: number, kind: NamespaceKind): number {
  try {
    return openSync(`/proc/${pid}/ns/${FILES[kind]}`, "r");
  } catch {
    // It has ended, or is about to: there is nothing to enter.
    throw new SysError("setns", ESRCH, "join");
  }
}

/**
 * Opens the namespaces that a request joins. Another program finds them below /proc by this process's descriptors.
 * @throws SysError of setns, as when a process enters them itself, when who lives there has ended
 */
export function openJoined({ join, create }: Pick<SpawnRequest, "join" | "create">): JoinedNamespaces {
  const fds: number[] = [];
  const close = () => {
    for (const fd of fds.splice(0)) closeSync(fd);
  };
  const byDescriptor = (kind: NamespaceKind, fd: number) => ({ kind, path: `/proc/${process.pid}/fd/${fd}` });
  try {
    const entered = (join ?? []).flatMap(({ pidfd, namespaces = [] }) => {
      const pid = processOf(pidfd);
      const opened = namespaces.map((kind) => {
        const fd = openOf(pid, kind);
        fds.push(fd);
        return byDescriptor(kind, fd);
      });
      // Still the same process: its number cannot have become another's in between.
      processOf(pidfd);
      return opened;
    });
    const net = create?.netns === undefined ? [] : [byDescriptor("net", create.netns)];
    return { paths: [...entered, ...net], close };
  } catch (error) {
    close();
    throw error;
  }
}
