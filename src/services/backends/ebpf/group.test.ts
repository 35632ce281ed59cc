import { describe, expect, it } from "vitest";
import { nodeGroup } from "./group.ts";

// Lines as proc_pid_mountinfo(5) describes them.
const v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
const mount = (root: string, point: string) => `41 31 0:38 ${root} ${point} rw shared:9 - cgroup2 cgroup2 rw\n`;

describe("the control group of a node", () => {
  it("is the root of version 2 as the process sees it", () => {
    expect(nodeGroup(`${v1}${mount("/", "/sys/fs/cgroup/unified")}`)).toBe("/sys/fs/cgroup/unified");
    // Mounted before the process got a namespace of its own: it shows the groups around.
    expect(nodeGroup(`${mount("/..", "/sys/fs/cgroup")}${mount("/", "/run/node")}`)).toBe("/run/node");
  });

  it("is missing where only version 1 is there", () => {
    expect(() => nodeGroup(v1)).toThrow('mode: "ebpf" is not possible: it attaches programs to the root of control');
    expect(() => nodeGroup(mount("/..", "/sys/fs/cgroup"))).toThrow("which is not mounted here");
  });
});
