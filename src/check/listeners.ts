import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Listener } from "./model.ts";

/** State LISTEN in /proc/net/tcp (include/net/tcp_states.h). */
const LISTEN = "0A";

/**
 * Ports and socket inodes of the listening lines of /proc/net/tcp or tcp6 (proc(5)).
 * @param text the file's content
 */
export function parseListening(text: string): { port: number; inode: string }[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      if (fields[3] !== LISTEN) return [];
      const port = Number.parseInt(fields[1]?.split(":")[1] ?? "", 16);
      return [{ port, inode: fields[9] ?? "" }];
    });
}

/** TCP ports that this network namespace listens on, and the program behind each where /proc shows it. */
export function listeners(): Listener[] {
  const sockets = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => parseListening(readFileSync(path, "utf8")));
  const owners = socketOwners();
  const byPort = new Map<number, Listener>();
  for (const { port, inode } of sockets) {
    const owner = owners.get(inode);
    if (!byPort.has(port) || owner) byPort.set(port, { port, ...(owner ?? {}) });
  }
  return [...byPort.values()].sort((a, b) => a.port - b.port);
}

/** Program of each socket inode, from the descriptors of all processes that we may look into. */
function socketOwners(): Map<string, { pid: number; program: string }> {
  const owners = new Map<string, { pid: number; program: string }>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const program = programOf(pid);
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode) owners.set(inode, { pid: Number(pid), program });
      }
    } catch {
      // The process ended, or belongs to somebody else.
    }
  }
  return owners;
}

/** Name of a process: the last part of what it says it is. */
function programOf(pid: string): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split(/[\0 ]/);
  return words[0]?.split("/").at(-1) ?? "";
}
