import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ClusterGroup, ownGroup } from "./clusterGroup.ts";

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

  it("gives none to a cluster where nothing can be bounded, or others are in it", () => {
    const own = mkdtempSync(join(tmpdir(), "pw-own-"));
    try {
      expect(ClusterGroup.take(undefined)).toBeUndefined();
      expect(ClusterGroup.take(own)).toBeUndefined();
      writeFileSync(join(own, "cgroup.controllers"), "cpu memory\n");
      writeFileSync(join(own, "cgroup.procs"), "1\n");
      // A write to it fails, as with processes in the group.
      mkdirSync(join(own, "cgroup.subtree_control"));
      expect(() => ClusterGroup.take(own)).not.toThrow();
      expect(readdirSync(own).filter((name) => name.startsWith("podwire-"))).toEqual([]);
    } finally {
      rmSync(own, { recursive: true });
    }
  });
});
