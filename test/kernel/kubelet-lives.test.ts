import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

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
      .poll(() => machine.events("noimage").join("\n"))
      .toContain("no template has this name (templates: podwire/toolbox");
    await machine.delete("noimage");
  });
});

describe("init containers and sidecars", () => {
  const container = (name: string, script: string, more: object = {}) => ({
    name,
    image: "podwire/toolbox",
    command: ["sh", "-c", script],
    ...more,
  });
  /** Says in a file of the pod what happens, in its order. */
  const volumes = [{ name: "e", emptyDir: {} }];
  const volumeMounts = [{ name: "e", mountPath: "/e" }];
  const stays = (name: string, more: object = {}) =>
    container(
      name,
      `trap 'echo ${name} ends >> /e/x; exit 0' TERM; echo ${name} >> /e/x; while :; do sleep 0.05; done`,
      {
        volumeMounts,
        ...more,
      },
    );

  it("run in their order; sidecars stay, and end last, the last first", async () => {
    await machine.run("ordered", {
      initContainers: [
        container("first", "echo first >> /e/x", { volumeMounts }),
        stays("side", {
          restartPolicy: "Always",
          startupProbe: { exec: { command: ["test", "-s", "/e/x"] }, periodSeconds: 1 },
        }),
        container("second", "echo second >> /e/x", { volumeMounts }),
        stays("other", { restartPolicy: "Always" }),
      ],
      containers: [stays("c")],
      volumes: [{ name: "e", hostPath: { path: "/run/test/ordered", type: "DirectoryOrCreate" } }],
    });
    const { status } = (await machine.pod("ordered")) as Pod;
    expect(status?.initContainerStatuses?.map(({ name, state }) => [name, Object.keys(state ?? {})[0]])).toEqual([
      ["first", "terminated"],
      ["side", "running"],
      ["second", "terminated"],
      ["other", "running"],
    ]);
    await machine.until("all of them", async () => machine.shell("cat /run/test/ordered/x").includes("c\n"));
    await machine.delete("ordered", 20);
    const said = machine.shell("cat /run/test/ordered/x").trim().split("\n");
    expect(said.slice(0, 3)).toEqual(["first", "side", "second"]);
    expect(said.slice(-3)).toEqual(["c ends", "other ends", "side ends"]);
  });

  it("a sidecar that ends is started again, and holds up no app container", async () => {
    await machine.run("helped", {
      initContainers: [stays("side", { restartPolicy: "Always" })],
      containers: [stays("c")],
      volumes,
    });
    await machine.exec("helped", "kill 1", { container: "side" });
    await machine.until("its restart", async () => (await machine.container("helped", "side"))?.restartCount === 1);
    expect(await machine.pod("helped")).toMatchObject({ status: { phase: "Running" } });
    await machine.delete("helped", 2);
  });

  it("a pod has succeeded when its app containers have, whatever its sidecars do", async () => {
    const { status } = await machine.run(
      "served",
      {
        restartPolicy: "Never",
        initContainers: [container("side", "exec sleep 7771", { restartPolicy: "Always" })],
        containers: [container("c", "exit 0")],
        terminationGracePeriodSeconds: 1,
      },
      "Succeeded",
    );
    expect(status?.conditions?.find(({ type }) => type === "Initialized")).toMatchObject({ status: "True" });
    await machine.until("the sidecar's end", async () => !machine.shell("ps ax").includes("sleep 7771"));
    await expect.poll(async () => (await machine.pod("served"))?.status?.phase).toBe("Succeeded");
    await machine.delete("served", 1);
  });

  it("a failed init container holds up the pod, or fails it", async () => {
    const initContainers = [container("i", "exit 4")];
    await machine.create("held", { initContainers });
    await machine.until(
      "back-off",
      async () => (await machine.container("held", "i"))?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    expect(await machine.pod("held")).toMatchObject({
      status: { phase: "Pending", containerStatuses: [{ state: { waiting: { reason: "PodInitializing" } } }] },
    });
    expect((await machine.get("/containerLogs/default/held/c")).body).toContain(
      'container "c" in pod "held" is waiting to start: PodInitializing',
    );
    await machine.delete("held", 1);
    await machine.run("failed", { restartPolicy: "Never", initContainers }, "Failed");
    await machine.delete("failed", 1);
  });

  it("containers have restart policies and rules of their own", async () => {
    const rules = [{ action: "Restart", exitCodes: { operator: "In" as const, values: [42] } }];
    await machine.create("ruled", {
      restartPolicy: "Never",
      containers: [
        container("c", "[ -e /e/again ] && exit 1; touch /e/again; exit 42", {
          volumeMounts,
          restartPolicy: "Never",
          restartPolicyRules: rules,
        }),
      ],
      volumes,
    });
    await machine.until("its end", async () => (await machine.pod("ruled"))?.status?.phase === "Failed");
    expect(await machine.container("ruled")).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 1 } },
      lastState: { terminated: { exitCode: 42 } },
    });
    await machine.delete("ruled", 1);
  });
});
