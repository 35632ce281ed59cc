import { existsSync } from "node:fs";
import { killUntilNone, processesOf } from "../found.ts";

/** In a container's folder: what crun starts it from. */
export const BUNDLE = "bundle";
/** In a container's folder: it has been started, and crun needs no more of us. */
export const STARTED = "started";

/**
 * Ends containers that crun was starting when the agent that had asked for them was killed: nobody will learn of their
 * start.
 * @param folder where containers' folders are
 * @param ids of the containers that have one
 */
export async function endUnfinished(folder: string, ids: readonly string[]): Promise<void> {
  const of = (id: string, name: string) => existsSync(`${folder}/${id}/${name}`);
  const unfinished = new Set(ids.filter((id) => of(id, BUNDLE) && !of(id, STARTED)));
  if (unfinished.size > 0) await endContainers(folder, unfinished);
}

/**
 * Kills what runs in containers, or starts them, or stays beside them.
 * @param folder where containers' folders are
 * @param ids of the containers
 */
export async function endContainers(folder: string, ids: ReadonlySet<string>): Promise<void> {
  await killUntilNone(async () => (await processesOf(folder)).filter(({ id }) => ids.has(id)).map(({ pid }) => pid));
}
