import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ClusterGroup, isAloneInTheWay, newlyEnabled } from "./clusterGroup.ts";
import { groupPlaces, ownGroup } from "./groupPlaces.ts";

const PARENT = 77;

describe("the control group of this process", () => {
  const mount = (root: string, point: string) =>
    `24 18 0:21 / /sys rw - sysfs sysfs rw\n30 24 0:26 ${root} ${point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n`;

  it.each([
    ["0::/user.slice/app.scope\n", mount("/", "/sys/fs/cgroup"), "/sys/fs/cgroup/user.slice/app.scope"],
    ["9:memory:/x\n0::/\n", mount("/", "/sys/fs/cgroup/unified"), "/sys/fs/cgroup/unified"],
    ["0::/a/b\n", mount("/a", "/sys/fs/cgroup"), "/sys/fs/cgroup/b"],
    ["0::/other\n", mount("/a", "/sys/fs/cgroup"), undefined],
    ["4:memory:/x\n", mount("/", "/sys/fs/cgroup"), undefined],
    ["0::/\n", "24 18 0:21 / /sys rw - sysfs sysfs rw\n", undefined],
  ])("of %j is found", (cgroup, mounts, folder) => expect(ownGroup(cgroup, mounts)).toBe(folder));

  it("gives none to a cluster where nothing can be bounded, or the group is not ours, and leaves nothing", () => {
    const own = mkdtempSync(join(tmpdir(), "pw-own-"));
    try {
      expect(ClusterGroup.take(undefined)).toBeUndefined();
      expect(ClusterGroup.take(own)).toBeUndefined();
      writeFileSync(join(own, "cgroup.controllers"), "cpu memory\n");
      // It can be read, and written by nobody.
      symlinkSync("/proc/version", join(own, "cgroup.subtree_control"));
      expect(ClusterGroup.take(own)).toBeUndefined();
      expect(readdirSync(own).sort()).toEqual(["cgroup.controllers", "cgroup.subtree_control"]);
    } finally {
      rmSync(own, { recursive: true });
    }
  });

  it("enables what is offered and was not enabled, by whole names", () => {
    expect(newlyEnabled(["cpuset", "cpu", "io", "memory", "pids"], "cpuset memory\n")).toEqual(["cpu", "pids"]);
    expect(newlyEnabled(["cpuset", "memory"], "\n")).toEqual(["memory"]);
  });

  it("of a privileged cluster is where limits bind: below the own group, else below the highest, which is not changed", () => {
    const [top, own] = ["/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/app.scope"];
    const shared = { parent: own, isShared: true };
    expect(groupPlaces(own, top, "cpu memory pids\n", ["memory", "pids"])).toEqual([
      { parent: own, isShared: false },
      { parent: top, isShared: true },
      shared,
    ]);
    expect(groupPlaces(own, top, "cpuset memory\n", [])).toEqual([{ parent: top, isShared: true }, shared]);
    // Nothing is enabled in the highest group: it is everybody's.
    expect(groupPlaces(top, top, "\n", ["cpu", "memory"])).toEqual([{ parent: top, isShared: true }]);
    expect(groupPlaces(own, top, "cpuset io\n", ["io"])).toEqual([shared]);
  });

  it("a privileged cluster is refused where there are no control groups of version 2, or nobody may make one", async () => {
    await expect(ClusterGroup.takePrivileged([])).rejects.toThrow(
      "--privileged is not possible: it needs control groups of version 2 (cgroup2), in which root may make one with a program (bpf): there are none",
    );
    const own = mkdtempSync(join(tmpdir(), "pw-own-"));
    try {
      // No control group: the kernel takes no program for it.
      await expect(ClusterGroup.takePrivileged([{ parent: own, isShared: true }])).rejects.toMatchObject({
        code: "NoControlGroup",
      });
      expect(readdirSync(own)).toEqual([]);
    } finally {
      rmSync(own, { recursive: true });
    }
  });

  it.each([
    ["EBUSY", [PARENT], true],
    ["EBUSY", [PARENT, 1], false],
    ["EBUSY", [PARENT, 0], false],
    ["EACCES", [PARENT], false],
  ])("is left by this process when it alone is in the way: %s with %j", (code, processes, mayLeave) => {
    expect(isAloneInTheWay(Object.assign(new Error(code), { code }), processes, PARENT)).toBe(mayLeave);
  });
});
