import { readFileSync } from "node:fs";

/** Ids that tests give to programs are below this one. */
const IDS = 10_000;

/** Whether every id below {@link IDS} is mapped in this process' user namespace (user_namespaces(7), uid_map). */
function hasIds(file: string): boolean {
  const ranges = readFileSync(file, "utf8").trim().split("\n");
  const inside = ranges.map((line) => line.trim().split(/\s+/).map(Number));
  const mapped = inside.reduce(
    (sum, [first = 0, , count = 0]) => sum + Math.max(0, Math.min(IDS, first + count) - first),
    0,
  );
  return mapped >= IDS;
}

/** Options of a test that runs programs as other users: skipped by name where there is but one id. */
export const needsIds =
  hasIds("/proc/self/uid_map") && hasIds("/proc/self/gid_map")
    ? {}
    : { skip: true, meta: { skipReason: "this user has no subordinate ids (subuid(5)) to become another user with" } };
