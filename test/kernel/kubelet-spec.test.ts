import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, resources } from "#api/index.ts";
import { needsIds } from "#test/support/ids.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

describe("what a pod's spec says beyond its command", () => {
  const box = (name: string, container: object, spec: object = {}) =>
    machine.run(name, { containers: [{ name: "c", image: "podwire/toolbox", ...container }], ...spec });

  beforeAll(() => machine.run("plain", {}));

  it("readOnlyRootFilesystem: only volumes, /dev/shm and the termination log can be written to", async () => {
    await box(
      "readonly",
      {
        securityContext: { readOnlyRootFilesystem: true },
        volumeMounts: [{ name: "e", mountPath: "/data/deep" }],
      },
      { volumes: [{ name: "e", emptyDir: {} }] },
    );
    for (const path of ["/x", "/tmp/x", "/etc/hosts", "/data/x"]) {
      const { code, stderr } = await machine.exec("readonly", `touch ${path}`);
      expect([path, code, stderr]).toEqual([path, 1, expect.stringContaining("Read-only file system")]);
    }
    expect((await machine.exec("readonly", "mount -o remount,rw /")).code).not.toBe(0);
    const { code, stderr } = await machine.exec(
      "readonly",
      "touch /data/deep/x /dev/shm/x; echo x > /dev/termination-log",
    );
    expect([code, stderr]).toEqual([0, ""]);
    await machine.delete("readonly", 1);
    // What a root that can be written to is like, for comparison.
    expect((await machine.exec("plain", "touch /x /tmp/x")).code).toBe(0);
  });

  it("more nameservers than a resolver takes: three are written, an event says so", async () => {
    const nameservers = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    await box("resolver", {}, { dnsPolicy: "None", dnsConfig: { nameservers } });
    const { stdout } = await machine.exec("resolver", "grep -c nameserver /etc/resolv.conf");
    expect(stdout).toBe("3\n");
    const applied = "the applied nameserver line is: 192.0.2.1 192.0.2.2 192.0.2.3";
    await expect
      .poll(() => machine.events("resolver"))
      .toContain(`DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, ${applied}`);
    await machine.delete("resolver", 1);
  });

  it("activeDeadlineSeconds: the pod fails, its containers end", async () => {
    const pod = await box(
      "late",
      { command: ["sleep", "444444"] },
      { activeDeadlineSeconds: 2, terminationGracePeriodSeconds: 1 },
    );
    const startTime = Date.parse(pod.status?.startTime ?? "");
    await machine.until("the deadline", async () => (await machine.pod("late"))?.status?.phase === "Failed");
    expect(Date.now() - startTime).toBeGreaterThanOrEqual(2000);
    const { status } = (await machine.pod("late")) as Pod;
    const message = "Pod was active on the node longer than the specified deadline";
    expect(status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded", message });
    expect(status?.conditions?.find((c) => c.type === "Ready")).toMatchObject({ status: "False", reason: "PodFailed" });
    // The first process of a container gets no signal that it does not handle, but for SIGKILL.
    expect(status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(137);
    expect(machine.shell("ps ax")).not.toContain("sleep 444444");
    await expect.poll(() => machine.events("late")).toContain(`DeadlineExceeded: ${message}`);
    await machine.delete("late");
  });

  it("sysctls of the pod's network", async () => {
    const sysctls = [{ name: "net.ipv4.ip_local_port_range", value: "40000 40100" }];
    await box("tuned", {}, { securityContext: { sysctls } });
    expect((await machine.exec("tuned", "cat /proc/sys/net/ipv4/ip_local_port_range")).stdout).toBe("40000\t40100\n");
    expect((await machine.exec("plain", "cat /proc/sys/net/ipv4/ip_local_port_range")).stdout).not.toContain("40100");
    await machine.delete("tuned", 1);
  });

  it("the termination message, from its file or from the log", async () => {
    const ended = async (name: string, container: object) => {
      const pod = await machine.run(
        name,
        { restartPolicy: "Never", containers: [{ name: "c", image: "podwire/toolbox", ...container }] },
        "Failed",
      );
      await machine.delete(name);
      return pod.status?.containerStatuses?.[0]?.state?.terminated?.message;
    };
    const sh = (script: string) => ({ command: ["sh", "-c", script] });
    expect(await ended("says", sh("echo no disk > /dev/termination-log; exit 1"))).toBe("no disk\n");
    expect(await ended("own", { ...sh("echo x > /tmp/why; exit 1"), terminationMessagePath: "/tmp/why" })).toBe("x\n");
    expect(await ended("silent", sh("echo only a line; exit 1"))).toBeUndefined();
    const terminationMessagePolicy = "FallbackToLogsOnError";
    expect(await ended("falls", { ...sh("echo last line; exit 1"), terminationMessagePolicy })).toBe("last line\n");
  });

  it("allowPrivilegeEscalation: no_new_privs is not set where the pod allows it", needsIds, async () => {
    await box("climber", { securityContext: { allowPrivilegeEscalation: true, runAsUser: 1000 } });
    const read = "grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/1/status; id -u";
    expect((await machine.exec("climber", read)).stdout).toBe(
      "CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\n1000\n",
    );
    const ofCommand = "grep NoNewPrivs /proc/self/status";
    expect((await machine.exec("climber", ofCommand)).stdout).toBe("NoNewPrivs:\t0\n");
    expect((await machine.exec("plain", read)).stdout).toContain("NoNewPrivs:\t1");
    expect((await machine.exec("plain", ofCommand)).stdout).toBe("NoNewPrivs:\t1\n");
    await machine.delete("climber", 1);
  });

  it("lifecycle.stopSignal: another signal than SIGTERM ends the container", async () => {
    const command = [
      "sh",
      "-c",
      "trap 'echo stopped > /dev/termination-log; exit 5' USR1; echo up; while :; do sleep 0.05; done",
    ];
    await box(
      "stopped",
      { command, lifecycle: { stopSignal: "SIGUSR1" } },
      { activeDeadlineSeconds: 1, restartPolicy: "Never" },
    );
    await machine.until(
      "the deadline",
      async () => (await machine.container("stopped"))?.state?.terminated !== undefined,
    );
    expect((await machine.container("stopped"))?.state?.terminated).toMatchObject({
      exitCode: 5,
      message: "stopped\n",
    });
    await machine.delete("stopped", 1);
  });

  it("setHostnameAsFQDN: the full name", async () => {
    await box("named", {}, { hostname: "db", subdomain: "peers", setHostnameAsFQDN: true });
    const { stdout } = await machine.exec("named", "hostname; grep db /etc/hosts | cut -f2-");
    expect(stdout).toBe("db.peers.default.svc.cluster.local\ndb.peers.default.svc.cluster.local\tdb\n");
    await machine.delete("named", 1);
  });

  it("a container put in later has the pod's network, and ends alone", async () => {
    await machine.run("debugged", {});
    const ephemeralContainers = [
      {
        name: "debug",
        image: "podwire/toolbox",
        command: ["sh", "-c", "ip -o -4 addr show eth0"],
        targetContainerName: "c",
      },
    ];
    await machine.client.patch(
      resources.pods,
      "debugged",
      "default",
      { spec: { ephemeralContainers } },
      { type: "merge" },
    );
    const status = async () => (await machine.pod("debugged"))?.status;
    await machine.until(
      "its end",
      async () => (await status())?.ephemeralContainerStatuses?.[0]?.state?.terminated !== undefined,
    );
    expect((await status())?.ephemeralContainerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 0,
      reason: "Completed",
    });
    expect((await machine.get("/containerLogs/default/debugged/debug")).body).toContain((await status())?.podIP);
    expect(await status()).toMatchObject({ phase: "Running", containerStatuses: [{ ready: true, restartCount: 0 }] });
    await machine.delete("debugged", 1);
  });

  it("what has no effect here is said once, by name, over a restart of the agent too", async () => {
    await box("odd", { resources: { limits: { memory: "1Gi" } } }, { hostUsers: false });
    const said = () => machine.events("odd").filter((e) => e.startsWith("UnsupportedFields"));
    // Events wait for what is more urgent, and those that wait go with a killed agent.
    await expect.poll(said).toHaveLength(1);
    await machine.killAgent();
    await machine.startAgent();
    await machine.exec("odd", "true");
    expect(said()).toEqual([
      expect.stringMatching(/spec\.hostUsers \(.*\); spec\.containers\[0\]\.resources\.limits \(/),
    ]);
    expect(machine.events("plain").filter((e) => e.startsWith("UnsupportedFields"))).toEqual([]);
    await machine.delete("odd", 1);
  });
});
