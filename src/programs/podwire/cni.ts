import { nodeOptions } from "#base/entry.ts";
import type { ToolWish } from "#cni/index.ts";
import { PROGRAM_ROOT } from "#lab/machine/index.ts";
import { enter } from "./enter.ts";
import { nodeOf, type Place } from "./run.ts";

/** `podwire cni …` @returns its exit code */
export async function runCni(wish: ToolWish, place: Place): Promise<number> {
  const program = [`${PROGRAM_ROOT}/bin/node`, ...nodeOptions, `${PROGRAM_ROOT}/dist/cni.cjs`];
  return enter(place.name, await nodeOf(place), [...program, "tool", JSON.stringify(wish)]);
}
