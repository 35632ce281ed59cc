import { readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const WAIT_MS = 1;
/** A container whose program is the node's crun itself cannot be told from one that has not been executed yet. */
const MOST_WAITS = 2000;

/** Undefined for a process that has ended. */
function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/**
 * Resolves when a container's first process is its own program. crun tells of it a moment before, when it is still crun
 * with crun's environment, which a command in the container would take for the container's.
 */
export async function executed(pid: number, shim: number): Promise<void> {
  for (let waits = 0; waits < MOST_WAITS; waits++) {
    const program = programOf(pid);
    if (program === undefined || program !== programOf(shim)) return;
    await sleep(WAIT_MS);
  }
}
