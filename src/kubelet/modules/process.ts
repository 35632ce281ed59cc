import { readdirSync, readFileSync } from "node:fs";
import { uptime } from "node:os";
import { wholeSeconds } from "#base/time.ts";

/** One run of a process. */
export interface ProcessRun {
  /** Equal for the same run only. */
  readonly id: string;
  /** RFC 3339, whole seconds. */
  readonly startedAt: string;
}

/** proc(5): times of /proc/PID/stat count in these (sysconf(_SC_CLK_TCK), 100 on every architecture of Linux). */
const TICKS_PER_SECOND = 100;
/** Position of starttime after the command's name in parentheses. */
const START_FIELD = 19;

/** A run of the process with this id; undefined when there is none. */
export function processRun(pid: number): ProcessRun | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_FIELD]);
    const startedMs = Date.now() - uptime() * 1000 + (ticks / TICKS_PER_SECOND) * 1000;
    return { id: `${pid}/${ticks}`, startedAt: wholeSeconds(new Date(startedMs)) };
  } catch {
    // It has ended.
    return undefined;
  }
}

/** The process of this machine whose command line begins with the name; undefined when none runs. */
export function findProcess(name: string): ProcessRun | undefined {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const [program] = readFileSync(`/proc/${entry}/cmdline`, "utf8").split(/[ \0]/);
      if (program === name) return processRun(Number(entry));
    } catch {
      // It has ended.
    }
  }
  return undefined;
}
