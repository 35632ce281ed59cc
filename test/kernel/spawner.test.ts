import {
  chmodSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLONE, check, libc } from "#kernel/ffi/index.ts";
import { makePrivate, type RootPlan } from "#kernel/mounts/index.ts";
import { ProgramError, Spawner, type SpawnRequest } from "#kernel/process/index.ts";
import { needsIds } from "#test/support/ids.ts";

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
const DOCKER_CAPABILITIES = [
  "chown",
  "dac_override",
  "fowner",
  "kill",
  "setgid",
  "setuid",
  "net_bind_service",
  "net_raw",
];

let spawner: Spawner;
let directory: string;

beforeAll(async () => {
  // Nothing of these tests may touch the machine's own mounts or network.
  check(libc.unshare(CLONE.NEWNS | CLONE.NEWNET), "unshare");
  makePrivate("/");
  directory = mkdtempSync(join(tmpdir(), "podwire-spawner-"));
  spawner = await Spawner.start();
});

afterAll(async () => {
  await spawner.stop();
  rmSync(directory, { recursive: true, force: true });
});

function rootPlan(name: string): RootPlan {
  return {
    directory: mkdtempSync(join(directory, name)),
    mounts: [
      { target: "/usr", type: "bind", source: "/usr", readonly: true },
      { target: "/proc", type: "proc" },
      { target: "/dev", type: "tmpfs", options: "mode=755" },
      { target: "/dev/null", type: "bind", source: "/dev/null" },
      { target: "/dev/tty", type: "bind", source: "/dev/tty" },
      { target: "/dev/pts", type: "devpts", options: "newinstance,ptmxmode=0666,mode=620" },
      { target: "/tmp", type: "tmpfs" },
    ],
    symlinks: {
      "/bin": "usr/bin",
      "/sbin": "usr/sbin",
      "/lib": "usr/lib",
      "/lib64": "usr/lib64",
      "/dev/ptmx": "pts/ptmx",
    },
    maskedPaths: ["/proc/cpuinfo", "/proc/nowhere"],
    readonlyPaths: ["/proc/sys"],
  };
}

async function run(
  request: Omit<SpawnRequest, "stdio" | "env">,
): Promise<{ out: string; code: number | null; signal: number | null }> {
  const file = join(directory, `out-${Math.random()}`);
  const fd = openSync(file, "w");
  const child = await spawner.spawn({ ...request, env: { PATH }, stdio: [null, fd, fd] });
  const status = await child.exit;
  libc.close(fd);
  return { out: readFileSync(file, "utf8"), ...status };
}

/** All that a terminal shows, whose other side is closed: reading fails with EIO then, pty(7). */
function terminalText(pty: number): string {
  let text = "";
  const buffer = Buffer.alloc(4096);
  for (;;) {
    const n = Number(libc.read(pty, buffer, buffer.length));
    if (n <= 0) return text;
    text += buffer.toString("utf8", 0, n);
  }
}

const create = (name: string): NonNullable<SpawnRequest["create"]> => ({
  namespaces: ["mount", "uts", "ipc", "pid"],
  hostname: name,
  root: rootPlan(name),
});

describe("spawner", () => {
  it("tells exit codes and signals of children", async () => {
    expect(await run({ argv: ["sh", "-c", "exit 7"] })).toMatchObject({ code: 7, signal: null });
    expect(await run({ argv: ["/bin/sh", "-c", "kill -9 $$"] })).toMatchObject({ code: null, signal: 9 });
  });

  it("says which program could not be executed", async () => {
    const fault = 'exec: "/no/such/program": stat /no/such/program: no such file or directory';
    await expect(run({ argv: ["/no/such/program"] })).rejects.toThrow(fault);
    await expect(run({ argv: ["nope"] })).rejects.toThrow('exec: "nope": executable file not found in $PATH');
    const confined = () => ({ create: create("pod-x"), capabilities: [] });
    await expect(run({ argv: ["/no/such/program"], ...confined() })).rejects.toThrow(fault);
    await expect(run({ argv: ["/usr/bin"], ...confined() })).rejects.toThrow(ProgramError);
  });

  it("lets a program that the kernel refuses say so itself", async () => {
    const plan = create("pod-y");
    const file = join(directory, "nonsense");
    writeFileSync(file, "no program", { mode: 0o755 });
    const root = { ...(plan.root as RootPlan), mounts: [...(plan.root as RootPlan).mounts] };
    root.mounts.push({ target: "/tool", type: "bind", source: file });
    expect(await run({ argv: ["/tool"], create: { ...plan, root } })).toEqual({
      out: "exec /tool: exec format error\n",
      code: 255,
      signal: null,
    });
  });

  it("makes the program itself the first process, which gets no signal that it does not handle", async () => {
    const pod = await spawner.spawn({
      argv: ["sleep", "0.5"],
      env: { PATH },
      stdio: [null, null, null],
      create: create("pod-z"),
      capabilities: [],
    });
    expect(readFileSync(`/proc/${pod.pid}/cmdline`, "latin1")).toBe("sleep\x000.5\x00");
    expect(readdirSync(`/proc/${pod.pid}/fd`)).toEqual(["0", "1", "2"]);
    pod.kill(15);
    expect(await pod.exit).toEqual({ code: 0, signal: null });
  });

  it("becomes another user, with long arguments and a working directory", needsIds, async () => {
    const long = "x".repeat(100_000);
    const plan = create("pod-u");
    chmodSync((plan.root as RootPlan).directory, 0o755);
    const { out } = await run({
      argv: [
        "/bin/sh",
        "-c",
        'id -u; id -g; id -G; pwd; printf %s "$1" | wc -c; grep CapEff /proc/self/status',
        "sh",
        long,
      ],
      cwd: "/tmp",
      create: plan,
      user: { uid: 1000, gid: 1001, groups: [1001, 7] },
      capabilities: DOCKER_CAPABILITIES,
    });
    expect(out).toBe("1000\n1001\n1001 7\n/tmp\n100000\nCapEff:\t0000000000000000\n");
  });

  it("gives a process its own pid namespace, host name, root and /proc", async () => {
    const { out, code } = await run({
      argv: [
        "/bin/sh",
        "-c",
        "echo $$; hostname; ls /; ls -d /proc/[0-9]*; touch /usr/x; echo 1 > /proc/sys/kernel/sysrq; wc -c < /proc/cpuinfo",
      ],
      create: create("pod-a"),
    });
    const lines = out.split("\n");
    expect(lines.slice(0, 2)).toEqual(["1", "pod-a"]);
    expect(lines).toContain("usr");
    expect(lines).not.toContain("home");
    expect(lines).not.toContain(".proc-");
    expect(lines).toContain("/proc/1");
    expect(out).toContain("Read-only file system");
    expect(lines.at(-2)).toBe("0");
    expect(code).toBe(0);
  });

  it("enters the namespaces of a running process, and gives it a terminal there", async () => {
    const pod = await spawner.spawn({
      argv: ["sleep", "100"],
      env: { PATH },
      stdio: [null, null, null],
      create: create("pod-b"),
    });
    const { out } = await run({ argv: ["/bin/sh", "-c", "hostname; cat /proc/1/comm"], join: [{ pidfd: pod.pidfd }] });
    expect(out).toBe("pod-b\nsleep\n");
    const shell = await spawner.spawn({
      argv: ["/bin/sh", "-c", "tty; : < /dev/tty && echo controlling"],
      env: { PATH },
      stdio: [],
      tty: true,
      join: [{ pidfd: pod.pidfd }],
    });
    await shell.exit;
    expect(terminalText(shell.pty as number)).toBe("/dev/pts/0\r\ncontrolling\r\n");
    libc.close(shell.pty as number);
    pod.kill(9);
    expect(await pod.exit).toEqual({ code: null, signal: 9 });
  });

  it("keeps only the named capabilities and sets no_new_privs", async () => {
    const { out } = await run({
      argv: ["/bin/sh", "-c", "grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/self/status; mount -t tmpfs x /tmp"],
      create: create("pod-c"),
      capabilities: DOCKER_CAPABILITIES,
    });
    expect(out).toMatch(/CapEff:\s+00000000000024eb\b/);
    expect(out).toMatch(/CapBnd:\s+00000000000024eb\b/);
    expect(out).toMatch(/NoNewPrivs:\s+1/);
    expect(out).toMatch(/mount: .*(denied|permitted|must be superuser)/);
  });

  it("holds no control group of a process that it could not start", async () => {
    const group = mkdtempSync(join(directory, "group-"));
    writeFileSync(join(group, "cgroup.procs"), "");
    const groups = { cgroup: group, cgroupRoot: join(group, "missing") };
    await expect(run({ argv: ["true"], ...groups })).rejects.toThrow("ENOENT");
    expect(readdirSync("/proc/self/fd").map(target)).not.toContain(join(group, "cgroup.procs"));
  });

  it("learns of the end of a process that it adopted", async () => {
    const child = await spawner.spawn({ argv: ["sleep", "100"], env: { PATH }, stdio: [null, null, null] });
    const adopted = spawner.adopt(child.pid);
    child.kill(15);
    await expect(adopted.exit).resolves.toBeDefined();
    await child.exit;
  });
});

/** What a descriptor of this process stands for, if it is still open. */
function target(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
