import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What one process has used. */
export interface ProcessUsage {
  readonly pid: number;
  /** Its pid namespace, as the kernel names it: `pid:[4026531836]`. All processes of a container share one. */
  readonly namespace: string;
  /** Processor time of it and of its ended children, in seconds. */
  readonly cpuSeconds: number;
  /** Memory that is its own: pages that no file stands behind. */
  readonly memoryBytes: number;
}

/** Clock ticks a second in /proc (USER_HZ), the same on every architecture. */
const TICKS = 100;
const PAGE = 4096;

/** All processes of this pid namespace and of those inside it. Processes that end meanwhile are left out. */
export function readProcesses(proc = "/proc"): ProcessUsage[] {
  return readdirSync(proc).flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const namespace = readlinkSync(`${proc}/${name}/ns/pid`);
      const cpuSeconds = cpuOf(readFileSync(`${proc}/${name}/stat`, "latin1"));
      return [{ pid, namespace, cpuSeconds, memoryBytes: memoryOf(readFileSync(`${proc}/${name}/statm`, "latin1")) }];
    } catch {
      return [];
    }
  });
}

/** Fields 14 to 17 of /proc/PID/stat: utime, stime, cutime, cstime. The name in front may hold spaces and brackets. */
export function cpuOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS;
}

/** /proc/PID/statm, in pages: size, resident, shared. */
export function memoryOf(statm: string): number {
  const [, resident = 0, shared = 0] = statm.split(" ").map(Number);
  return Math.max(0, resident - shared) * PAGE;
}
