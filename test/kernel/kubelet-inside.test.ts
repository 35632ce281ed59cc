import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

/** errno(3). */
const EPERM = 1;
/** A shell's exit code for a command that is not there. */
const NOT_FOUND = 127;
const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

describe("U02 a shell in a pod (part: by the node agent)", () => {
  beforeAll(() => machine.run("box", {}));

  it("sees the pod's own network, resolver, hosts and name", async () => {
    const ip = (await machine.pod("box"))?.status?.podIP ?? "";
    expect(ip).toMatch(/^10\.244\.1\.\d+$/);
    const { stdout } = await machine.exec("box", "hostname; ip route; cat /etc/resolv.conf /etc/hosts");
    expect(stdout).toMatch(/^box\ndefault via 10\.244\.1\.1 dev eth0/);
    expect(stdout).toContain(
      "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
    );
    expect(stdout).toContain(`${ip}\tbox\n`);
  });

  it("gives streams, exit codes and a terminal", async () => {
    expect(await machine.exec("box", "echo out; echo err >&2; exit 7")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      code: 7,
    });
    expect(await machine.exec("box", "wc -c", { input: "x".repeat(100_000) })).toMatchObject({
      stdout: "100000\n",
      code: 0,
    });
    const terminal = await machine.exec("box", "tty; exit 3", { input: "", tty: true });
    expect(terminal.stdout).toContain("/dev/pts/0");
    expect(terminal.code).toBe(3);
    expect((await machine.exec("box", "exec nosuchprogram")).code).toBe(127);
  });

  it("tells through events what the image is", async () => {
    await expect
      .poll(() => machine.events("box"))
      .toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^ImageTemplate: .*template podwire\/toolbox over this machine's own files/),
          "Started: Container started",
        ]),
      );
  });
});

describe("a pod is shut in", () => {
  beforeAll(async () => {
    await machine.run("inmate", {});
    await machine.run("neighbour", toolbox("exec sleep 987654"));
  });

  it.each([
    ["mount", "mount -t tmpfs none /mnt"],
    ["mount over /proc", "mount -o remount,rw /proc/sys"],
    ["a write to /proc/sys/kernel", "echo 1 > /proc/sys/kernel/panic"],
    ["a write to /proc/sys/vm", "echo 1 > /proc/sys/vm/drop_caches"],
    ["a write to /usr", "touch /usr/x"],
    ["a write to /usr made writable", "mount -o remount,bind,rw /usr; touch /usr/x"],
    ["a write to the machine's certificates", "touch /etc/ssl/x"],
    ["a write to /sys", "echo 1 > /sys/kernel/mm/ksm/run"],
    ["the host user's ~/.ssh", "ls /root/.ssh/"],
    ["a host name", "hostname evil"],
    ["an address", "ip addr add 1.2.3.4/32 dev eth0"],
    ["new namespaces", "unshare -m true"],
    ["entering a namespace", "nsenter -t 1 -n true"],
    ["a raw device", "head -c 1 /dev/mem"],
  ])("%s fails", async (_what, command) => {
    expect((await machine.exec("inmate", command)).code).not.toBe(0);
  });

  it("may not reboot the machine", async ({ skip }) => {
    // reboot(2): LINUX_REBOOT_CMD_RESTART. What is printed is the result and errno.
    const number = process.arch === "arm64" ? 142 : 169;
    const perl = `print syscall(${number}, 0xfee1dead, 672274793, 0x1234567, 0), " ", $! + 0`;
    const python =
      "import ctypes; print(ctypes.CDLL(None, use_errno=True).reboot(0x1234567), ctypes.get_errno(), end='')";
    const call = `if command -v perl >/dev/null; then perl -e '${perl}'; else python3 -c "${python}"; fi`;
    const { stdout, code } = await machine.exec("inmate", call);
    skip(code === NOT_FOUND, "neither perl nor python3 in a pod of this machine");
    expect(stdout).toBe(`-1 ${EPERM}`);
  });

  it.each(["/var/lib/kubelet", "/run/podwire", machine.folder])("sees nothing of the node's %s", async (folder) => {
    expect(machine.list(folder)).not.toEqual([]);
    expect((await machine.exec("inmate", `ls -A ${folder}`)).stdout).toBe("");
  });

  it("sees no process that is not in its own network", async () => {
    const { stdout } = await machine.exec("inmate", "for p in /proc/[0-9]*; do readlink $p/ns/net; done | sort -u");
    expect(stdout).toMatch(/^net:\[\d+\]\n$/);
    expect(stdout).not.toBe(machine.shell("readlink /proc/1/ns/net"));
  });

  it("has nothing open but its streams, in the container and in a command", async () => {
    const { stdout } = await machine.exec("inmate", "ls /proc/1/fd /proc/self/fd | tr '\\n' ' '");
    expect(stdout).toBe("/proc/1/fd: 0 1 2  /proc/self/fd: 0 1 2 3 ");
  });

  it("gets no new privileges", async () => {
    const { stdout } = await machine.exec("inmate", "grep -E 'NoNewPrivs|CapBnd' /proc/self/status");
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap
    expect(stdout).toMatch(/CapBnd:\s+00000000a80425fb\nNoNewPrivs:\s+1/);
  });

  it("sees no other pod's processes, and cannot signal them", async () => {
    const { stdout } = await machine.exec("inmate", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    expect(stdout).not.toContain("987654");
    const pids = () => machine.shell('ps -e -o pid=,args= | awk \'$2 == "sleep" && $3 == "987654" { print $1 }\'');
    const before = pids();
    expect(before).toMatch(/^\d+\n$/);
    await machine.exec("inmate", "kill -9 -1");
    // Nothing can be started beside a first process that has been killed, dead or not yet.
    expect((await machine.exec("neighbour", "echo alive")).stdout).toBe("alive\n");
    expect(pids()).toBe(before);
  });
});

describe("a command in a container", () => {
  const environment = async (pod: string) => (await machine.exec(pod, "env")).stdout.split("\n");

  it("has the environment and folder of its container, whatever the first process has made of its own", async () => {
    const env = [{ name: "GIVEN", value: "by the spec" }];
    const command = ["sh", "-c", "cd /; exec env -i CHOSEN=by-it sleep 1000"];
    await machine.run("wiped", {
      containers: [{ name: "c", image: "podwire/toolbox", command, env, workingDir: "/tmp" }],
    });
    const own = "tr '\\0' ' ' < /proc/1/environ";
    await expect.poll(async () => (await machine.exec("wiped", own)).stdout).toBe("CHOSEN=by-it ");
    const lines = await environment("wiped");
    expect(lines).toEqual(
      expect.arrayContaining(["GIVEN=by the spec", "HOSTNAME=wiped", expect.stringMatching(/^PATH=.*\/bin/)]),
    );
    expect(lines.join()).not.toContain("CHOSEN");
    expect((await machine.exec("wiped", "pwd")).stdout).toBe("/tmp\n");
  });

  it("is told of its process where an older agent has started its container", async () => {
    const { containerID = "" } = (await machine.container("wiped")) ?? {};
    machine.shell(`rm /run/podwire/containers/${containerID.replace(/^.*:\/\//, "")}/given.json`);
    expect(await environment("wiped")).toContain("CHOSEN=by-it");
  });

  it("that does not start leaves nothing open in the agent", async () => {
    const agent = machine.shell("cat /run/test/ready").trim();
    const ends = () => machine.shell(`ls -l /proc/${agent}/fd | grep -cE 'pipe:|ptmx|pts/' || true`);
    const fail = (tty: boolean) => machine.exec("wiped", "", { input: "", program: "/nowhere", tty });
    expect((await fail(false)).message).toContain("/nowhere");
    const before = ends();
    for (let i = 0; i < 20; i++) await fail(i % 2 === 0);
    await expect.poll(ends).toBe(before);
  });
});
