import { describe, expect, it } from "vitest";
import type { SpawnRequest } from "#kernel/process/index.ts";
import { ociConfig } from "./config.ts";

const PERMITTED = ["chown", "kill", "net_raw", "sys_admin"];
const NETNS = 7;
const root = {
  directory: "/run/c/root",
  mounts: [
    { target: "/", type: "overlay", options: "lowerdir=/a,upperdir=/b,workdir=/c" },
    { target: "/usr", type: "bind", source: "/usr", readonly: true, recursive: true },
    { target: "/dev/null", type: "bind", source: "/dev/null", optional: true },
    { target: "/dev/net/tun", type: "bind", source: "/dev/net/tun" },
    { target: "/dev/pts", type: "devpts", options: "newinstance,mode=620", nosuid: true, noexec: true },
    { target: "/proc", type: "proc" },
    { target: "/sys", type: "sysfs", readonly: true, nosuid: true, nodev: true, noexec: true },
  ],
  maskedPaths: ["/proc/kcore"],
  readonlyPaths: ["/proc/sys"],
} as const;
const request: SpawnRequest = {
  argv: ["sh", "-c", "true"],
  env: { PATH: "/bin", EMPTY: "" },
  cwd: "/srv",
  stdio: [null, null, null],
  create: { namespaces: ["mount", "uts", "ipc", "pid"], netns: NETNS, hostname: "pod", root },
  capabilities: ["net_raw", "kill", "audit_write"],
};
const config = (changes: Partial<SpawnRequest> = {}, namespaces: Parameters<typeof ociConfig>[1] = []) =>
  ociConfig({ ...request, ...changes }, namespaces, PERMITTED);

// Names and meanings: github.com/opencontainers/runtime-spec, config.md and config-linux.md of version 1.0.2.
describe("the OCI configuration of a container", () => {
  it("says what is run, where and as whom", () => {
    expect(config()).toMatchObject({
      ociVersion: "1.0.2",
      hostname: "pod",
      root: { path: "/run/c/root", readonly: false },
      process: {
        terminal: false,
        user: { uid: 0, gid: 0 },
        args: ["sh", "-c", "true"],
        env: ["PATH=/bin", "EMPTY="],
        cwd: "/srv",
        noNewPrivileges: true,
      },
      linux: { maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"] },
    });
    const readonly = { ...request.create, namespaces: ["mount" as const], root: { ...root, readonlyRoot: true } };
    expect(config({ create: readonly }).root.readonly).toBe(true);
    expect(config({ tty: true }).process.terminal).toBe(true);
    expect(config({ user: { uid: 7, gid: 8, groups: [9, 10] } }).process.user).toEqual({
      uid: 7,
      gid: 8,
      additionalGids: [9, 10],
    });
  });

  it("mounts in the plan's order; the root's own mount and the devices of every container are not among them", () => {
    expect(config().mounts).toEqual([
      { destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"] },
      { destination: "/dev/net/tun", type: "bind", source: "/dev/net/tun", options: ["bind"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "mode=620"],
      },
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "nodev", "noexec"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro", "nosuid", "nodev", "noexec"] },
    ]);
  });

  it("keeps of the capabilities those that can be given; without root none is held, and no more can be won", () => {
    const kept = ["CAP_KILL", "CAP_NET_RAW"];
    const of = (changes?: Partial<SpawnRequest>) => config(changes).process;
    expect(of().capabilities).toEqual({ bounding: kept, effective: kept, permitted: kept });
    const user = { uid: 1000, gid: 1000, groups: [1000] };
    expect(of({ user }).capabilities).toEqual({ bounding: kept, effective: [], permitted: [] });
    expect(of({ mayGainPrivileges: true }).noNewPrivileges).toBe(false);
  });

  it("gives a privileged container all that there are", () => {
    const { capabilities: _, ...privileged } = request;
    const { process } = ociConfig(privileged, [], PERMITTED);
    expect(process.capabilities.effective).toEqual(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN"]);
    expect(process.noNewPrivileges).toBe(false);
  });

  it("makes a namespace of control groups where the container has one", () => {
    expect(config().linux.namespaces).not.toContainEqual({ type: "cgroup" });
    expect(config({ cgroup: "/sys/fs/cgroup/kubepods/podu1/id" }).linux.namespaces).toContainEqual({ type: "cgroup" });
  });

  it("makes namespaces and enters others by path; what is not named is shared with the node", () => {
    const entered = [
      { kind: "net", path: "/proc/1/fd/7" },
      { kind: "ipc", path: "/proc/1/fd/8" },
    ] as const;
    const create = { namespaces: ["mount" as const], root };
    expect(config({ create }, entered).linux.namespaces).toEqual([
      { type: "mount" },
      { type: "network", path: "/proc/1/fd/7" },
      { type: "ipc", path: "/proc/1/fd/8" },
    ]);
    expect(config({ create })).not.toHaveProperty("hostname");
  });

  it("sets what belongs to a namespace of its own", () => {
    const sysctls = { "kernel.shm_rmid_forced": "1" };
    expect(config({ create: { namespaces: ["ipc"], root, sysctls } }).linux.sysctl).toEqual(sysctls);
    expect(config().linux).not.toHaveProperty("sysctl");
  });

  it("is refused for a process without a root", () => {
    expect(() => config({ create: { namespaces: ["mount"] } })).toThrow("a root of its own");
  });
});
