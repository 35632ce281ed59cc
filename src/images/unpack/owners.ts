import { readFileSync } from "node:fs";

/** Which ids of a user namespace there are. */
export interface Owners {
  /** Whether an id can own a file here. */
  has(id: number): boolean;
  /** There is one id alone: it owns everything. */
  readonly single: boolean;
}

/** The ids of this process's user namespace (user_namespaces(7), uid_map). */
export function ownersHere(uidMap = readFileSync("/proc/self/uid_map", "utf8")): Owners {
  const ranges = uidMap
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => [first, first + count] as const);
  const total = ranges.reduce((sum, [first, end]) => sum + end - first, 0);
  return { has: (id) => ranges.some(([first, end]) => id >= first && id < end), single: total <= 1 };
}
