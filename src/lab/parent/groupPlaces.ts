import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { controllersOf } from "#kernel/cgroups/index.ts";

/** What limits of pods need. */
export const CONTROLLERS: readonly string[] = ["cpu", "memory", "pids"];

/**
 * The group that this process is in, as a folder; undefined where there is no hierarchy of version 2.
 * @param cgroup text of /proc/self/cgroup
 * @param mounts text of /proc/self/mountinfo (proc_pid_mountinfo(5))
 */
export function ownGroup(cgroup: string, mounts: string): string | undefined {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  const { root, point } = hierarchy(mounts) ?? {};
  if (path === undefined || root === undefined || point === undefined) return undefined;
  const prefix = root === "/" ? "" : root;
  return path === root || path.startsWith(`${prefix}/`) ? resolve(point, `.${path.slice(prefix.length)}`) : undefined;
}

/** Where groups of version 2 are mounted, and which group is shown there. */
function hierarchy(mounts: string): { readonly root: string; readonly point: string } | undefined {
  const fields = mounts.split("\n").map((line) => line.split(" "));
  const mount = fields.find((words) => words[words.indexOf("-") + 1] === "cgroup2");
  const [root, point] = [mount?.[3], mount?.[4]];
  return root === undefined || point === undefined ? undefined : { root, point };
}

/** The group that this process is in; undefined where there is no hierarchy of version 2. */
export function foundGroup(): string | undefined {
  return ownGroup(readFileSync("/proc/self/cgroup", "latin1"), readFileSync("/proc/self/mountinfo", "latin1"));
}

/** A group in which a cluster's can be made. */
export interface GroupPlace {
  readonly parent: string;
  /** Others are in it, or it is the highest: nothing is enabled in it, nobody leaves it. */
  readonly isShared: boolean;
}

/**
 * Where root can make a cluster's group, the best first: where limits bind.
 * @param own the group that this process is in
 * @param top the highest group that is seen
 * @param enabled text of the highest group's cgroup.subtree_control
 * @param offered controllers of the own group
 */
export function groupPlaces(own: string, top: string, enabled: string, offered: readonly string[]): GroupPlace[] {
  const isBounded = CONTROLLERS.some((name) => enabled.split(/\s+/).includes(name));
  return [
    ...(own !== top && CONTROLLERS.some((name) => offered.includes(name)) ? [{ parent: own, isShared: false }] : []),
    ...(isBounded ? [{ parent: top, isShared: true }] : []),
    { parent: own, isShared: true },
  ];
}

/** Where root can make a group on this machine, the best place first. */
export function foundPlaces(): GroupPlace[] {
  const own = foundGroup();
  const top = hierarchy(readFileSync("/proc/self/mountinfo", "latin1"))?.point;
  if (own === undefined || top === undefined) return [];
  return groupPlaces(own, top, readFileSync(join(top, "cgroup.subtree_control"), "latin1"), controllersOf(own));
}
