import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

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
    [
      "reboot",
      "python3 -c 'import ctypes,sys; sys.exit(0 if ctypes.CDLL(None).reboot(0x1234567)==0 else 1)' || reboot -f",
    ],
    ["a write to /proc/sys/kernel", "echo 1 > /proc/sys/kernel/panic"],
    ["a write to /proc/sys/vm", "echo 1 > /proc/sys/vm/drop_caches"],
    ["a write to /usr", "touch /usr/x"],
    ["a write to /usr made writable", "mount -o remount,bind,rw /usr; touch /usr/x"],
    ["a write to the machine's certificates", "touch /etc/ssl/x"],
    ["a write to /sys", "echo 1 > /sys/kernel/mm/ksm/run"],
    ["the host user's ~/.ssh", "ls /root/.ssh/"],
    ["the node's keys", "cat /etc/kubernetes/* /var/lib/kubelet/* /run/podwire/*"],
    ["a host name", "hostname evil"],
    ["an address", "ip addr add 1.2.3.4/32 dev eth0"],
    ["new namespaces", "unshare -m true"],
    ["the node's processes through /proc", "nsenter -t 1 -n ip link show cni0"],
    ["a raw device", "head -c 1 /dev/mem"],
  ])("%s fails", async (_what, command) => {
    expect((await machine.exec("inmate", command)).code).not.toBe(0);
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
    await machine.exec("inmate", "kill -9 -1");
    const neighbour = await machine.pod("neighbour");
    expect(neighbour?.status?.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 });
  });
});
