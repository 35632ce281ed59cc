import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const crun = spawnSync("sh", ["-c", "command -v crun"], { encoding: "utf8" }).stdout.trim();
const noCrun = "no crun on this machine";
const machine = new KubeletMachine();
const CRUN = { runtimeClassName: "by-crun" };
const STAY = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done";

/** Processes of the machine whose command line has these words. */
const processes = (words: string) =>
  machine
    .shell("ps ax -o args=")
    .split("\n")
    .filter((line) => line.includes(words));
const shims = () => processes("crun --root=/run/podwire/crun ");
const logOf = async (pod: string) => (await machine.get(`/containerLogs/default/${pod}/c`)).body;
const says = (pod: string, text: string) =>
  machine.until(`${pod} to say ${text}`, async () => (await logOf(pod)).includes(text));
const runtimeClass = (name: string, handler: string) =>
  machine.client.create(resources.runtimeClasses, { metadata: { name }, handler });

/** Puts a script in crun's place; $REAL is crun. */
function replaceCrun(script: string): void {
  machine.shell(`cp ${crun} /run/test/real; printf '%s\n' '#!/bin/sh' 'REAL=/run/test/real' '${script}' > /run/test/fake
chmod 755 /run/test/fake; mount --bind /run/test/fake ${crun}`);
}
const restoreCrun = () => machine.shell(`umount -l ${crun}`);

describe("containers by crun", () => {
  beforeAll(async () => {
    if (crun === "") return;
    await machine.start();
    await runtimeClass("by-crun", "crun");
    await runtimeClass("by-kata", "kata");
  });
  afterAll(() => machine.stop());

  const test = (name: string, work: () => Promise<void>) =>
    it(name, async ({ skip }) => {
      skip(crun === "", noCrun);
      await work();
    });

  test("a RuntimeClass with the handler crun: crun starts the pod's containers, and knows them", async () => {
    await machine.run("known", { ...CRUN, ...toolbox(STAY) });
    await says("known", "up");
    expect(shims()).toHaveLength(1);
    const list = JSON.parse(machine.shell(`${crun} --root /run/podwire/crun list -f json`)) as { id: string }[];
    const status = await machine.container("known");
    expect(list.map(({ id }) => id)).toEqual([status?.containerID?.replace(/^.*:\/\//, "")]);
    expect((await machine.exec("known", "tr '\\0' ' ' < /proc/1/cmdline; exit 4")).code).toBe(4);
    // It is another process's container to a new agent, which takes it over.
    await machine.killAgent();
    await machine.startAgent();
    expect((await machine.exec("known", "true")).code).toBe(0);
    expect(await machine.container("known")).toMatchObject({ containerID: status?.containerID, restartCount: 0 });
    await machine.delete("known");
    expect(shims()).toEqual([]);
    for (const folder of ["containers", "crun", "shm"]) expect(machine.list(`/run/podwire/${folder}`)).toEqual([]);
    expect(machine.shell("cat /proc/self/mountinfo")).not.toContain("upperdir=/run/podwire");
  });

  test("a container takes no key of the user's quota, which would end at 200 containers", async () => {
    await machine.run("keys", { ...CRUN, ...toolbox(STAY) });
    const id = (await machine.container("keys"))?.containerID?.replace(/^.*:\/\//, "");
    const keys = machine.shell("cat /proc/keys");
    expect(keys).toContain("keyring");
    expect(keys).not.toContain(id);
    await machine.delete("keys", 1);
  });

  test("a hook right after the start has the container's environment, not crun's", async () => {
    const postStart = { exec: { command: ["sh", "-c", "echo $GREETING > /dev/shm/greeting"] } };
    const container = { name: "c", image: "podwire/toolbox", command: ["sh", "-c", STAY], lifecycle: { postStart } };
    await machine.run("hooked", {
      ...CRUN,
      containers: [{ ...container, env: [{ name: "GREETING", value: "hello" }] }],
    });
    expect((await machine.exec("hooked", "cat /dev/shm/greeting")).stdout).toBe("hello\n");
    await machine.delete("hooked", 1);
  });

  const ended = async (name: string, container: object, spec: object = {}) => {
    const containers = [{ name: "c", image: "podwire/toolbox", ...container }];
    await machine.create(name, { ...CRUN, restartPolicy: "Never", containers, ...spec });
    await machine.until(`end of ${name}`, async () => (await machine.container(name))?.state?.terminated !== undefined);
    const result = { log: await logOf(name), ...(await machine.container(name))?.state?.terminated };
    await machine.delete(name, 1);
    return result;
  };
  const sh = (script: string) => ({ command: ["sh", "-c", script] });

  test("how a container ended is told, also of one that ends at once", async () => {
    expect(await ended("code", sh("echo out; exit 7"))).toMatchObject({ exitCode: 7, reason: "Error", log: "out\n" });
    expect(await ended("true", { command: ["true"] })).toMatchObject({ exitCode: 0, reason: "Completed" });
    await machine.run("killed", { ...CRUN, restartPolicy: "Never", ...toolbox("exec sleep 31330") });
    machine.shell("pkill -9 -x -f 'sleep 31330'");
    await machine.until("the end", async () => (await machine.container("killed"))?.state?.terminated !== undefined);
    expect((await machine.container("killed"))?.state?.terminated).toMatchObject({ exitCode: 137, reason: "Error" });
    await machine.delete("killed", 1);
  });

  test("a terminal is the container's own", async () => {
    const { log, exitCode } = await ended("terminal", { ...sh("tty; exit 3"), tty: true, stdin: true });
    expect([log.trim(), exitCode]).toEqual(["/dev/pts/0", 3]);
  });

  test("an image's program that the kernel does not execute ends the container, and says why in its log", async () => {
    machine.shell("echo no program > /run/test/odd; chmod 755 /run/test/odd");
    const odd = { command: ["/odd"], volumeMounts: [{ name: "odd", mountPath: "/odd" }] };
    const volumes = [{ name: "odd", hostPath: { path: "/run/test/odd" } }];
    const { log, exitCode } = await ended("format", odd, { volumes });
    expect(log).toMatch(/exec/i);
    expect(exitCode).not.toBe(0);
  });

  const refused = async (name: string, runtimeClassName: string, why: string) => {
    await machine.create(name, { runtimeClassName });
    await expect
      .poll(() => machine.events(name))
      .toContain(`FailedCreatePodSandBox: Failed to create pod sandbox: ${why}`);
    expect((await machine.pod(name))?.status?.phase ?? "Pending").toBe("Pending");
    await machine.until(
      "its state",
      async () => (await machine.container(name))?.state?.waiting?.reason === "ContainerCreating",
    );
  };

  test("a handler or a class that is not there: the pod waits, an event says why", async () => {
    const handlers = "handlers of this node are podwire, crun";
    await refused("kata", "by-kata", `RuntimeHandler "kata" not supported: ${handlers}`);
    await machine.delete("kata", 1);
    const missing = 'runtimeclasses.node.k8s.io "none" not found';
    await refused("none", "none", `failed to get RuntimeClass none: ${missing}`);
    await machine.delete("none", 1);
  });

  test("without crun on the machine the pod waits, and runs when crun is there", async () => {
    machine.shell(`mount --bind /dev/null ${crun}`);
    await refused(
      "waits",
      "by-crun",
      'RuntimeHandler "crun" not supported: crun is not on this machine; install it by: apt-get install crun (dnf install crun)',
    );
    restoreCrun();
    await machine.until("it to run", async () => (await machine.container("waits"))?.ready === true);
    await machine.delete("waits", 1);
  });

  /** An agent is killed while crun starts a container; the next one runs it, once. @param begun crun has come so far */
  const interrupted = async (name: string, script: string, begun: () => boolean) => {
    replaceCrun(script);
    await machine.create(name, { ...CRUN, ...toolbox("exec sleep 31337") });
    await machine.until("crun", async () => begun());
    await machine.killAgent();
    restoreCrun();
    await machine.startAgent();
    machine.shell("rm -f /run/test/gate");
    const running = async () => ((await machine.pod(name)) as Pod).status?.containerStatuses?.[0]?.state?.running;
    await machine.until("the container", async () => (await running()) !== undefined);
    expect(processes("sleep 31337").filter((line) => line === "sleep 31337")).toHaveLength(1);
    expect(shims()).toHaveLength(1);
    await machine.delete(name, 1);
    expect(processes("sleep 31337")).toEqual([]);
    expect(machine.list("/run/podwire/crun")).toEqual([]);
  };

  test("an agent killed before crun has made the container", async () => {
    machine.shell("touch /run/test/gate");
    const script = 'while [ -e /run/test/gate ]; do sleep 0.05; done; exec $REAL "$@"';
    await interrupted("early", script, () => processes("/bin/sh").some((line) => line.includes("--bundle")));
  });

  test("an agent killed before crun has told it of the container", async () => {
    const script = 'exec $REAL $(echo "$@" | sed "s#/proc/self/fd/3#/run/test/told#")';
    await interrupted("late", script, () => processes("sleep 31337").includes("sleep 31337"));
  });
});
