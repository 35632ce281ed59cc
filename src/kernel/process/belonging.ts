import { readFileSync, writeFileSync } from "node:fs";
import { CLONE, check, libc, O } from "#kernel/ffi/index.ts";
import { MS } from "#kernel/mounts/index.ts";
import { PROC_FLAGS } from "./newRoot.ts";
import type { SpawnRequest } from "./request.ts";
import type { Step } from "./script.ts";

/** Whether something has to be done to a process before it runs its program. */
export function mustWait({ user, capabilities, cgroup, oomScoreAdj }: SpawnRequest): boolean {
  return [user, capabilities, cgroup, oomScoreAdj].some((one) => one !== undefined);
}

/** Raises the score of a process; lowering it is up to who is root outside of all user namespaces. */
export function raiseOomScore(path: string, score: number): void {
  if (score > Number(readFileSync(path, "latin1"))) writeFileSync(path, String(score));
}

/** Opens a control group for joinGroup(). @throws SysError */
export function openGroup(folder: string): number {
  const path = `${folder}/cgroup.procs`;
  return check(libc.open(path, O.WRONLY | O.CLOEXEC, 0), "open", path);
}

/** Puts a process into a group. @throws SysError */
export function joinGroup(group: number, pid: number): void {
  const text = Buffer.from(String(pid));
  check(libc.write(group, text, text.length), "write", `cgroup.procs ${pid}`);
}

/**
 * A process sees the group that it is in as the root of all groups; read-only, as with every runtime, unless it is to
 * divide it.
 */
export function ownGroupSteps({ divides = false } = {}): Step[] {
  const flags = divides ? PROC_FLAGS : PROC_FLAGS | MS.RDONLY;
  return [
    { call: "unshare", args: [CLONE.NEWCGROUP], detail: "cgroup" },
    // An image without /sys has no place for it.
    { call: "mount", args: ["cgroup", "/sys/fs/cgroup", "cgroup2", flags, 0], optional: true },
  ];
}
