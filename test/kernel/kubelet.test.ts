import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const toolbox = (command: string) => ({
  containers: [{ name: "c", image: "podwire/toolbox", command: ["sh", "-c", command] }],
});
const eventsOf = (pod: string) =>
  machine.api
    .all<{ metadata: { name: string }; involvedObject: { name: string }; reason: string; message: string }>(
      "/api/v1/events",
    )
    .filter((e) => e.involvedObject.name === pod)
    .map((e) => `${e.reason}: ${e.message}`);

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
      .poll(() => eventsOf("box"))
      .toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^ImageTemplate: .*template podwire\/toolbox over this machine's own files/),
          "Started: Started container c",
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

describe("containers over their lives", () => {
  it("restart after a crash, wait before the next time, keep the log of the run before", async () => {
    await machine.client.create(resources.pods, {
      metadata: { name: "crash", namespace: "default" },
      spec: { nodeName: "node01", ...toolbox("echo boom; exit 3") },
    });
    await machine.until("back-off", async () => {
      const status = (await machine.pod("crash"))?.status?.containerStatuses?.[0];
      return status?.state?.waiting?.reason === "CrashLoopBackOff";
    });
    const status = (await machine.pod("crash"))?.status?.containerStatuses?.[0];
    expect(status).toMatchObject({ restartCount: 1, lastState: { terminated: { exitCode: 3, reason: "Error" } } });
    expect(status?.state?.waiting?.message).toMatch(/^back-off 10s restarting failed container=c pod=crash_default\(/);
    expect((await machine.get("/containerLogs/default/crash/c?previous=true")).body).toBe("boom\n");
    await machine.delete("crash");
  });

  it("end with the pod's phase, and give the network back", async () => {
    const before = machine.list("/run/netns").length;
    const pod = await machine.run("job", { restartPolicy: "Never", ...toolbox("echo done") }, "Succeeded");
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
    expect((await machine.get("/containerLogs/default/job/c")).body).toBe("done\n");
    await machine.until("its namespace's end", async () => machine.list("/run/netns").length <= before);
    await machine.delete("job");
  });

  /** Waits until the shell has set its trap: a pod without a probe is ready before that. */
  const up = (pod: string) =>
    machine.until(`${pod}'s trap`, async () =>
      (await machine.get(`/containerLogs/default/${pod}/c`)).body.includes("up"),
    );

  it("get SIGTERM, then SIGKILL after the grace period", async () => {
    await machine.run("polite", toolbox("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"));
    await up("polite");
    const started = Date.now();
    await machine.delete("polite");
    // Long before the 30 s of grace are over.
    expect(Date.now() - started).toBeLessThan(20_000);
    await machine.run("stubborn", toolbox("trap '' TERM; echo up; while :; do sleep 0.05; done"));
    await up("stubborn");
    const again = Date.now();
    await machine.delete("stubborn", 1);
    expect(Date.now() - again).toBeGreaterThan(900);
  });

  it("are told why an image is not there", async () => {
    await machine.client.create(resources.pods, {
      metadata: { name: "noimage", namespace: "default" },
      spec: { nodeName: "node01", containers: [{ name: "c", image: "nowhere/thing:1" }] },
    });
    await machine.until(
      "ErrImagePull",
      async () =>
        (await machine.pod("noimage"))?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "ErrImagePull",
    );
    await expect
      .poll(() => eventsOf("noimage").join("\n"))
      .toContain("no template has this name (templates: podwire/toolbox");
    await machine.delete("noimage");
  });
});

describe("what a pod's spec says beyond its command", () => {
  const box = (name: string, container: object, spec: object = {}) =>
    machine.run(name, { containers: [{ name: "c", image: "podwire/toolbox", ...container }], ...spec });

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
    expect((await machine.exec("inmate", "touch /x /tmp/x")).code).toBe(0);
  });

  it("activeDeadlineSeconds: the pod fails, its containers end", async () => {
    const pod = await box("late", { command: ["sleep", "444444"] }, { activeDeadlineSeconds: 2 });
    const startTime = Date.parse(pod.status?.startTime ?? "");
    await machine.until("the deadline", async () => (await machine.pod("late"))?.status?.phase === "Failed");
    expect(Date.now() - startTime).toBeGreaterThanOrEqual(2000);
    const { status } = (await machine.pod("late")) as Pod;
    const message = "Pod was active on the node longer than the specified deadline";
    expect(status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded", message });
    expect(status?.conditions?.find((c) => c.type === "Ready")).toMatchObject({ status: "False", reason: "PodFailed" });
    expect(status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(143);
    expect(machine.shell("ps ax")).not.toContain("sleep 444444");
    await expect.poll(() => eventsOf("late")).toContain(`DeadlineExceeded: ${message}`);
    await machine.delete("late");
  });

  it("sysctls of the pod's network", async () => {
    const sysctls = [{ name: "net.ipv4.ip_local_port_range", value: "40000 40100" }];
    await box("tuned", {}, { securityContext: { sysctls } });
    expect((await machine.exec("tuned", "cat /proc/sys/net/ipv4/ip_local_port_range")).stdout).toBe("40000\t40100\n");
    expect((await machine.exec("inmate", "cat /proc/sys/net/ipv4/ip_local_port_range")).stdout).not.toContain("40100");
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
    const said = () => eventsOf("debugged").filter((e) => e.startsWith("UnsupportedFields"));
    await expect
      .poll(said, { timeout: 5000 })
      .toEqual([
        "UnsupportedFields: Fields that this node does not act on: spec.ephemeralContainers[0].targetContainerName (each container has a process namespace of its own)",
      ]);
    await machine.delete("debugged", 1);
  });

  it("what has no effect here is said once, by name, over a restart of the agent too", async () => {
    await box(
      "odd",
      { ports: [{ containerPort: 80, hostPort: 8080 }], resources: { limits: { memory: "1Gi" } } },
      { hostPID: true },
    );
    const said = () => eventsOf("odd").filter((e) => e.startsWith("UnsupportedFields"));
    // Events wait for what is more urgent, and those that wait go with a killed agent.
    await expect.poll(said).toHaveLength(1);
    await machine.killAgent();
    await machine.startAgent();
    await machine.exec("odd", "true");
    expect(said()).toEqual([
      expect.stringMatching(
        /spec\.hostPID \(.*\); spec\.containers\[0\]\.ports\[0\]\.hostPort \(.*\); spec\.containers\[0\]\.resources\.limits \(/,
      ),
    ]);
    expect(eventsOf("inmate").filter((e) => e.startsWith("UnsupportedFields"))).toEqual([]);
    await machine.delete("odd", 1);
  });
});

describe("/healthz of the node agent", () => {
  const health = async () => {
    const { status, body } = await machine.get("/healthz");
    return `${status} ${body}`;
  };

  it("says what is wrong for as long as it is", async () => {
    await expect.poll(health).toBe("200 ok");
    machine.shell("mkdir /run/test/aside && mv /run/test/net.d/* /run/test/aside/");
    await expect.poll(health).toBe("500 Network plugin returns error: cni plugin not initialized");
    machine.shell("mv /run/test/aside/* /run/test/net.d/");
    await expect.poll(health).toBe("200 ok");
  });
});

describe("volumes of a running pod", () => {
  it("X04 show a ConfigMap's changes (part: in the pod's files)", async () => {
    const configMap = { metadata: { name: "settings", namespace: "default" }, data: { Corefile: "one\n" } };
    await machine.client.create(resources.configMaps, configMap);
    await machine.run("reader", {
      containers: [
        {
          name: "c",
          image: "podwire/toolbox",
          volumeMounts: [
            { name: "v", mountPath: "/etc/coredns" },
            { name: "e", mountPath: "/data" },
          ],
        },
      ],
      volumes: [
        { name: "v", configMap: { name: "settings" } },
        { name: "e", emptyDir: {} },
      ],
    });
    const read = async () => (await machine.exec("reader", "cat /etc/coredns/Corefile")).stdout;
    expect(await read()).toBe("one\n");
    await machine.client.patch(
      resources.configMaps,
      "settings",
      "default",
      { data: { Corefile: "two\n" } },
      { type: "merge" },
    );
    await machine.until("the change", async () => (await read()) === "two\n");
    expect((await machine.exec("reader", "echo x > /data/file && cat /data/file")).stdout).toBe("x\n");
    await machine.delete("reader");
  });

  it("wait for what is not there yet", async () => {
    await machine.client.create(resources.pods, {
      metadata: { name: "late", namespace: "default" },
      spec: {
        nodeName: "node01",
        containers: [{ name: "c", image: "podwire/toolbox" }],
        volumes: [{ name: "v", configMap: { name: "later" } }],
      },
    });
    await machine.until("an event", async () =>
      eventsOf("late").some((e) => e.includes('configmap "default/later" not found')),
    );
    await machine.client.create(resources.configMaps, { metadata: { name: "later", namespace: "default" }, data: {} });
    await machine.until("a running pod", async () => (await machine.pod("late"))?.status?.phase === "Running");
    await machine.delete("late");
  });
});

describe("podwire/echo", () => {
  it("answers in its pod's name, as soon as it is ready", async () => {
    const readinessProbe = { httpGet: { path: "/", port: 8282 } };
    const pod = await machine.run("shop", {
      containers: [
        { name: "c", image: "podwire/echo", args: ["--port=8282", "--body=wear", "--only=/"], readinessProbe },
      ],
    });
    const url = `http://${pod.status?.podIP}:8282`;
    expect(machine.shell(`curl -s -D - ${url}/`)).toMatch(/200 OK[\s\S]*x-pod: shop[\s\S]*\r\n\r\nwear\n$/);
    expect(machine.shell(`curl -s -o /dev/null -w '%{http_code}' ${url}/wear`)).toBe("404");
  });

  it("says in its log why it does not start", async () => {
    const containers = [{ name: "c", image: "podwire/echo", args: ["--prot=1"] }];
    await machine.client.create(resources.pods, {
      metadata: { name: "wrong", namespace: "default" },
      spec: { nodeName: "node01", containers },
    });
    await machine.until(
      "a crash",
      async () => ((await machine.pod("wrong"))?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    expect((await machine.get("/containerLogs/default/wrong/c?previous=true")).body).toContain(
      'unknown argument "--prot=1"',
    );
    await machine.delete("wrong");
  });
});

describe("a killed agent", () => {
  it("finds its pods as they were: nothing restarts, servers answer, no line of a log is lost", async () => {
    const pod = await machine.run("counter", toolbox("i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"));
    const before = pod.status?.containerStatuses?.[0]?.containerID;
    const shop = (await machine.pod("shop"))?.status?.podIP;
    for (let i = 0; i < 3; i++) {
      await machine.killAgent();
      expect(machine.shell(`curl -s http://${shop}:8282/`)).toBe("wear\n");
      await machine.startAgent();
    }
    const status = (await machine.pod("counter"))?.status?.containerStatuses?.[0];
    expect(status).toMatchObject({ restartCount: 0, ready: true, containerID: before });
    let lines: number[] = [];
    await machine.until("fifty lines", async () => {
      lines = (await machine.get("/containerLogs/default/counter/c")).body.trim().split("\n").map(Number);
      return lines.length > 50;
    });
    expect(lines).toEqual(lines.map((_, i) => i));
    expect(machine.shell(`curl -s http://${shop}:8282/`)).toBe("wear\n");
    expect((await machine.exec("counter", "echo alive")).stdout).toBe("alive\n");
  });

  it("loses and repeats no line where full logs are put aside", async () => {
    await machine.run("loud", toolbox("seq 1 400000; exec sleep 123457"));
    const words = `cd /run/test/pods/default_loud_*/c && ls | grep -c '^0.log.[0-9]*-[0-9]*$' && cat $(ls -d 0.log.*) 0.log |
      awk '{ printf "%s%s", $4, $3 == "F" ? "\\n" : "" }' | awk '$1 != NR { bad++ } END { print NR, bad + 0 }'`;
    for (let i = 0; i < 2; i++) {
      await machine.killAgent();
      await machine.startAgent();
    }
    await machine.until("all lines, in two files or more", async () =>
      /^[1-4]\n400000 0\n$/.test(machine.shell(`${words} || true`)),
    );
  });

  it("ends a pod that was deleted meanwhile", async () => {
    await machine.run("orphan", toolbox("exec sleep 123456"));
    await machine.killAgent();
    await machine.client.delete(resources.pods, "orphan", "default");
    await machine.startAgent();
    await machine.until("its end", async () => !machine.shell("ps ax").includes("sleep 123456"));
    await machine.until("its end in the API", async () => (await machine.pod("orphan")) === undefined);
  });
});

describe("N01 the end of pods (part: nothing is left on the node)", () => {
  it("leaves no process, namespace, address, file", async () => {
    for (const pod of machine.api.all("/api/v1/pods")) await machine.delete(pod.metadata.name);
    await machine.until("no namespaces", async () => machine.list("/run/netns").length === 0);
    for (const folder of [
      "/run/podwire/containers",
      "/run/podwire/pods",
      "/run/test/pods",
      "/run/test/containers",
      "/var/lib/kubelet/pods",
      "/var/lib/cni/results",
    ])
      await expect.poll(() => machine.list(folder), { message: folder }).toEqual([]);
    expect(machine.list("/var/lib/cni/networks/cbr0").filter((n) => n.startsWith("10."))).toEqual([]);
    const ours = /^(tini -- sleep 999999|sleep 999999|sh -c ps|ps -e|podwire-echo |\S*node .*kubeletAgent)/;
    const processes = () => machine.shell("ps -e -o args=").trim().split("\n");
    await expect.poll(() => processes().filter((p) => !ours.test(p))).toEqual([]);
  });
});
