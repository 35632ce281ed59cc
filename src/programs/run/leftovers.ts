import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Spawner } from "#kernel/process/index.ts";
import { ProcessRuntime } from "#kubelet/runtime/index.ts";

/** Where the containers of a node are written down. */
export const RUNS_FOLDER = "/run/podwire-run";

const SIGKILL = 9;
/** Most that a killed process may take to be gone, in ms. */
const GONE_MS = 5000;

/** Sends a signal; a process that has ended needs none. */
export function signal(pid: number, number: number): void {
  try {
    process.kill(pid, number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** First processes of a run's container; each ends all others of its pid namespace. */
export async function processesOf(folder: string): Promise<readonly number[]> {
  const spawner = await Spawner.start({ thread: "inline" });
  try {
    return [...(await new ProcessRuntime({ folder }, spawner).running()).keys()];
  } finally {
    await spawner.stop();
  }
}

/** Ends the processes of a container whose keeper is gone. @throws Error when one does not end */
export async function endContainer(folder: string): Promise<void> {
  for (const pid of await processesOf(folder)) {
    signal(pid, SIGKILL);
    const until = performance.now() + GONE_MS;
    while (existsSync(`/proc/${pid}`)) {
      if (performance.now() > until) throw new Error(`process ${pid} of a container does not end`);
      await sleep(2);
    }
  }
}
