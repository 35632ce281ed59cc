import { setTimeout as sleep } from "node:timers/promises";
import { type RunRecord, Runs, removeNetwork, runsTable, type StopWish } from "#run/index.ts";
import { endContainer, processesOf, RUNS_FOLDER, signal } from "./leftovers.ts";

const SIGKILL = 9;
/** Most that the end of a killed container may take, in ms. */
const KILLED_MS = 10_000;

/** Containers that are there, without what killed keepers left. */
async function sweptRuns(): Promise<Runs> {
  const runs = new Runs(RUNS_FOLDER);
  const unlock = await runs.lock();
  try {
    await runs.sweep(endContainer, removeNetwork);
  } finally {
    unlock();
  }
  return runs;
}

/** `podwire ps` */
export async function listRuns(): Promise<void> {
  const runs = await sweptRuns();
  process.stdout.write(runsTable(runs.list(), Date.now()));
}

/** Whether a container, and all that it had, was gone within a time. */
async function gone(runs: Runs, { id }: RunRecord, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (runs.isKept(id)) {
    if (performance.now() > until) return false;
    await sleep(5);
  }
  return true;
}

async function stop(runs: Runs, run: RunRecord, seconds: number): Promise<void> {
  const send = async (number: number) => {
    for (const pid of await processesOf(runs.folderOf(run.id))) signal(pid, number);
  };
  await send(run.stopSignal);
  if (await gone(runs, run, seconds * 1000)) return;
  await send(SIGKILL);
  if (!(await gone(runs, run, KILLED_MS))) throw new Error(`container ${run.name} does not end`);
}

/** `podwire stop` @throws PodwireError "NoSuchContainer" */
export async function stopRuns({ containers, seconds }: StopWish): Promise<void> {
  const runs = await sweptRuns();
  const found = containers.map((text) => ({ text, run: runs.find(text) }));
  for (const { text, run } of found) {
    await stop(runs, run, seconds);
    process.stdout.write(`${text}\n`);
  }
}
