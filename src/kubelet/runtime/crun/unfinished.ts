import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { processesOf } from "../found.ts";

/** In a container's folder: what crun starts it from. */
export const BUNDLE = "bundle";
/** In a container's folder: it has been started, and crun needs no more of us. */
export const STARTED = "started";

const SIGKILL = 9;
const WAIT_MS = 5;
const MOST_PASSES = 400;

/**
 * Ends containers that crun was starting when the agent that had asked for them was killed: nobody will learn of their
 * start. A program that starts others while we look is seen the next time round.
 * @param folder where containers' folders are
 * @param ids of the containers that have one
 */
export async function endUnfinished(folder: string, ids: readonly string[]): Promise<void> {
  const of = (id: string, name: string) => existsSync(`${folder}/${id}/${name}`);
  const unfinished = new Set(ids.filter((id) => of(id, BUNDLE) && !of(id, STARTED)));
  for (let pass = 0; unfinished.size > 0 && pass < MOST_PASSES; pass++) {
    const found = (await processesOf(folder)).filter(({ id }) => unfinished.has(id));
    if (found.length === 0) return;
    for (const { pid } of found) kill(pid);
    await sleep(WAIT_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, SIGKILL);
  } catch {
    // It has ended.
  }
}
