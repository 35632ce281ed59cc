import { readFileSync } from "node:fs";
import { PodwireError } from "#base/errors.ts";

/**
 * The group whose sockets are the node's and its pods': the root of control groups of version 2, as this process sees it.
 * On a machine that is one node, that is everything; a node of a lab has a control group namespace with a root of its own.
 * @param mounts text of /proc/self/mountinfo (proc_pid_mountinfo(5))
 * @throws PodwireError `NoControlGroup`
 */
export function nodeGroup(mounts = readFileSync("/proc/self/mountinfo", "latin1")): string {
  const fields = mounts.split("\n").map((line) => line.split(" "));
  const found = fields.find((words) => words[words.indexOf("-") + 1] === "cgroup2" && words[3] === "/");
  if (found?.[4] !== undefined) return found[4];
  const why = "it attaches programs to the root of control groups of version 2 (cgroup2), which is not mounted here";
  throw new PodwireError("NoControlGroup", `mode: "ebpf" is not possible: ${why}`);
}
