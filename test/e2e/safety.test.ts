import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { descendants } from "../support/host.ts";
import { addSessionKey } from "../support/keyring.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

const SECRET = `podwire-secret-${randomBytes(8).toString("hex")}`;

/** reboot(2) with LINUX_REBOOT_CMD_RESTART, without a program that might not be there. */
const REBOOT = `perl -e 'syscall(${process.arch === "arm64" ? 142 : 169}, 0xfee1dead, 672274793, 0x1234567, 0) == 0 or die "$!\\n"'`;
/** keyctl(2) with KEYCTL_READ of a key by its number in hexadecimal; prints what the kernel returns. */
const READ_KEY = (id: string): string =>
  `perl -e '$text = " " x 64; print syscall(${process.arch === "arm64" ? 219 : 250}, 11, 0x${id}, $text, 64)'`;
/** Prints every file of a folder of settings that can be opened for writing; opening alone changes nothing. */
const WRITABLE = (folder: string): string =>
  `find ${folder} -type f | while read -r f; do { true >> "$f"; } 2>/dev/null && echo "$f"; done; true`;
/** Settings of /proc/sys that belong to one of a machine's own namespaces (uts, ipc, pid), or to a user's own quota. */
const OWN_SETTINGS =
  /^\/proc\/sys\/(net\/|user\/|fs\/mqueue\/|kernel\/(hostname|domainname|ns_last_pid|pid_max|msg\w*|sem\w*|shm\w*|auto_msgmni|cap_last_cap)$)/;

/** In `npm test` clusters have no pod by crun: `npm run test:long` has one in each. */
const withoutCrun = process.env["PODWIRE_LONG"] !== "1";

/** Whether containers can be started by crun as well. */
const hasCrun = !withoutCrun && spawnSync("sh", ["-c", "command -v crun"]).status === 0;
const noCrun = "no crun on this machine";
const RUNTIME_CLASS = {
  apiVersion: "node.k8s.io/v1",
  kind: "RuntimeClass",
  metadata: { name: "crun" },
  handler: "crun",
};

/** What of this computer must be the same before and after. */
function hostSettings(): Record<string, string> {
  const files = ["vm/overcommit_memory", "kernel/core_pattern", "kernel/sysrq", "kernel/panic"];
  const names = [...files, "kernel/hostname", "kernel/random/boot_id", "fs/file-max"];
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "absent");
  return {
    ...Object.fromEntries(names.map((name) => [name, read(`/proc/sys/${name}`)])),
    mounts: read("/proc/self/mountinfo"),
  };
}

/** What a link leads to; undefined for a process that has ended since it was listed. */
function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

people.describe("a cluster of %s cannot reach this computer", ["root", "an ordinary user"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;
  let secret: string;
  let leaked: number;
  let victim: ChildProcess;
  let hasKeyrings: boolean;
  const before = hostSettings();
  const privateNode = join(tmpdir(), `podwire-node-${process.pid}`);

  beforeAll(async () => {
    staging = makeStaging();
    user = people.user(who);
    secret = join(user?.home ?? homedir(), ".ssh", SECRET);
    mkdirSync(dirname(secret), { recursive: true, mode: 0o700 });
    writeFileSync(secret, SECRET, { mode: 0o600 });
    // Node belongs to who starts the cluster, as in that user's own checkout.
    copyFileSync(staging.node, privateNode);
    for (const path of user ? [dirname(secret), secret, privateNode] : [])
      chownSync(path, user?.uid ?? 0, user?.gid ?? 0);
    leaked = openSync(secret, "r");
    victim = spawn("sleep", ["1000"], { stdio: "ignore", ...(user ? { uid: user.uid, gid: user.gid } : {}) });
    hasKeyrings = addSessionKey(SECRET, "secret");
    cluster = new TestCluster({
      staging: { ...staging, node: privateNode },
      ...(user ? { user } : {}),
      flags: ["--example", "none", "--ingress", "none"],
      env: { PODWIRE_TEST_SECRET: SECRET },
      inherited: [leaked],
    });
    await cluster.ready();
    const runtimeClass = join(cluster.directory, "class.json");
    writeFileSync(runtimeClass, JSON.stringify(RUNTIME_CLASS));
    await cluster.ok("create", "-f", runtimeClass);
    await Promise.all([
      cluster.toolbox("box", "node01"),
      cluster.toolbox("other", "node01"),
      ...(hasCrun ? [cluster.toolbox("crun", "node01", undefined, { runtimeClassName: "crun" })] : []),
    ]);
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    victim.kill("SIGKILL");
    closeSync(leaked);
    for (const path of [secret, privateNode]) rmSync(path, { force: true });
    user?.remove();
    staging.remove();
    // Last of all: whatever the tests below tried, nothing of it came through.
    expect(hostSettings()).toEqual(before);
  });

  /** Runs a script in a pod or on a node, with its streams apart. */
  const places = {
    pod: (script: string) => cluster.inPod("box", script),
    "pod by crun": (script: string) => cluster.inPod("crun", script),
    node: (script: string) => cluster.sh("node01", script),
  };

  it("no process in a mount namespace of the lab has the user's files in its root", () => {
    const home = readlinkSync("/proc/self/ns/mnt");
    const inside = descendants(cluster.process.pid as number).filter((pid) => {
      const namespace = link(`/proc/${pid}/ns/mnt`);
      return namespace !== undefined && namespace !== home;
    });
    expect(inside.length).toBeGreaterThan(10);
    expect(inside.filter((pid) => existsSync(`/proc/${pid}/root${secret}`))).toEqual([]);
  });

  const pods = withoutCrun ? (["pod"] as const) : (["pod", "pod by crun"] as const);

  describe.each([...pods, "node"] as const)("from a %s", (place) => {
    beforeEach(({ skip }) => skip(place === "pod by crun" && !hasCrun, noCrun));
    const sh = (script: string) => places[place](script);

    it("reading the user's ~/.ssh fails", async () => {
      for (const path of [secret, `/proc/1/root${secret}`, `/proc/1/cwd${secret}`])
        expect(await sh(`cat ${path}`)).toMatchObject({ stdout: "", code: 1 });
      expect((await sh(`find / -name '${SECRET}' 2>/dev/null`)).stdout).toBe("");
      expect((await sh(`ls -A /root /home`)).stdout).not.toContain(".ssh");
    });

    it("no process has the user's descriptors, folders, environment or keys", async () => {
      const links = await sh('for f in /proc/[0-9]*/fd/*; do readlink "$f"; [ -d "$f" ] && echo "directory $f"; done');
      expect(links.stdout).toContain("/dev/null");
      expect(links.stdout).not.toMatch(/directory|secret|\.ssh/);
      expect((await sh(`cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c '^PATH='`)).stdout.trim()).not.toBe("0");
      expect((await sh(`cat /proc/[0-9]*/environ | tr '\\0' '\\n'`)).stdout).not.toContain(SECRET);
      // Names of keys that a user made show to that same user in every namespace (key_permission); contents never do.
      const shown = hasKeyrings ? (await sh(`grep ${SECRET} /proc/keys; true`)).stdout : "";
      if (process.getuid?.() === 0) expect(shown).toBe("");
      for (const [id] of shown.matchAll(/^[0-9a-f]{8}/gm)) expect((await sh(READ_KEY(id))).stdout).toBe("-1");
    });

    it("rebooting fails", async () => {
      const { code, stderr } = await sh(REBOOT);
      expect(code).not.toBe(0);
      expect(stderr).toContain("Operation not permitted");
      expect((await sh("echo b > /proc/sysrq-trigger")).code).not.toBe(0);
      expect((await cluster.status()).state).toBe("ready");
    });

    it("setting the clock, making devices, loading modules, file systems of the whole kernel fail", async () => {
      expect((await sh("date -s 2001-01-01")).code).not.toBe(0);
      expect(new Date().getFullYear()).toBeGreaterThan(2001);
      expect((await sh("mknod /tmp/disk b 8 0")).code).not.toBe(0);
      for (const type of ["debugfs", "tracefs", "securityfs", "devtmpfs"])
        expect((await sh(`mkdir -p /tmp/m && mount -t ${type} none /tmp/m`)).code).not.toBe(0);
    });

    it("processes outside are neither seen nor killed", async () => {
      expect((await sh("ps -e -o args=")).stdout).not.toContain("sleep 1000");
      await sh(`kill -9 ${victim.pid}`);
      expect((await sh(`cat /proc/${victim.pid}/cmdline`)).stdout).not.toContain("1000");
      expect(victim.signalCode).toBeNull();
      expect(victim.exitCode).toBeNull();
    });
  });

  describe.each(pods)("from a %s alone", (place) => {
    beforeEach(({ skip }) => skip(place === "pod by crun" && !hasCrun, noCrun));
    const sh = places[place];

    it("mounting fails, the machine's files are read-only", async () => {
      for (const command of [
        "mount -t tmpfs none /mnt",
        "mount --bind /tmp /mnt",
        "mount -o remount,rw /usr",
        "mount -o remount,rw /sys",
        "mount -o remount,bind,rw /proc/sys",
        "umount /proc/sys",
        "umount -l /usr",
      ])
        expect({ command, code: (await sh(command)).code }).not.toEqual({ command, code: 0 });
      expect((await sh("touch /usr/x")).code).not.toBe(0);
    });

    it("no setting of the kernel can be written", async () => {
      expect((await sh("echo x > /proc/sys/kernel/hostname")).code).not.toBe(0);
      expect((await sh("echo x > /proc/sys/kernel/core_pattern")).code).not.toBe(0);
      expect((await sh(WRITABLE("/proc/sys"))).stdout).toBe("");
      expect((await sh(WRITABLE("/sys/kernel"))).stdout).toBe("");
    });

    it("another pod's processes and files are out of reach", async () => {
      const ids = (await sh("ls /proc")).stdout.split("\n").filter((name) => /^\d+$/.test(name));
      expect(ids.length).toBeLessThan(10);
      expect((await sh("for p in /proc/[0-9]*; do cat $p/root/etc/hostname; done")).stdout).not.toContain("other");
      await sh("for p in $(seq 2 400); do [ -e /proc/$p ] || kill -9 $p; done; true");
      expect(
        await cluster.ok("get", "pod", "other", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"),
      ).toBe("0");
      expect((await cluster.inPod("other", "echo alive")).stdout).toBe("alive\n");
    });
  });

  describe("from a node alone", () => {
    const sh = places.node;

    it("only settings of the node's own namespaces can be written", async () => {
      for (const name of ["vm/drop_caches", "kernel/core_pattern", "kernel/sysrq", "vm/overcommit_memory"])
        expect((await sh(`echo 1 > /proc/sys/${name}`)).code).not.toBe(0);
      const found = (await sh(WRITABLE("/proc/sys"))).stdout.split("\n").filter(Boolean);
      expect(found).toContain("/proc/sys/net/ipv4/ip_forward");
      expect(found.filter((path) => !OWN_SETTINGS.test(path))).toEqual([]);
      expect((await sh(WRITABLE("/sys/kernel /sys/module /sys/power /sys/block"))).stdout).toBe("");
    });

    it("each node sees only its own processes", async () => {
      const { stdout } = await sh("ps -e -o args=");
      expect(stdout.match(/--hostname-override=\w+/g)).toEqual(["--hostname-override=node01"]);
      expect(stdout).not.toContain("engine");
      const roots = await sh("for p in /proc/[0-9]*; do cat $p/root/etc/hostname; done | sort -u");
      expect(roots.stdout.split("\n").filter(Boolean).sort()).toEqual([
        "box",
        ...(hasCrun ? ["crun"] : []),
        "node01",
        "other",
      ]);
    });

    it("the program of the cluster cannot be changed", async () => {
      for (const path of [
        "/opt/podwire/bin/node",
        "/usr/bin/env",
        "/opt/podwire/dist/kubelet.cjs",
        "/opt/podwire/template/etc/passwd",
      ]) {
        await sh(
          `for p in ${path} /usr /opt/podwire/dist /opt/podwire/template; do mount -o remount,bind,rw $p; mount -o remount,rw $p; done`,
        );
        expect((await sh(`: >> ${path}`)).code).not.toBe(0);
      }
    });

    it("mounts inside work and stay inside", async () => {
      const { stdout, stderr, code } = await cluster.sh(
        "node02",
        `set -e
        mount -t tmpfs none /mnt; mkdir -p /mnt/a /mnt/b /mnt/w /mnt/o; echo 1 > /mnt/a/x
        mount -t overlay -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/w none /mnt/o
        mount --bind /mnt/a /srv; mount -t proc proc /mnt/b; cat /srv/x /mnt/o/x
        mount --bind /mnt/a /usr/share; mount -o remount,rw /usr 2>/dev/null && touch /usr/x 2>/dev/null || echo refused
        umount /usr/share; umount /srv; umount -l /usr; echo unmounted`,
      );
      expect({ stdout, stderr, code }).toEqual({ stdout: "1\n1\nrefused\nunmounted\n", stderr: "", code: 0 });
      expect(hostSettings()["mounts"]).toBe(before["mounts"]);
      expect((await sh("ls /usr/bin/env")).code).toBe(0);
    });
  });
});
