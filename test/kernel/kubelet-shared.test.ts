import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const STAY = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
const container = (name: string, script = STAY, more: object = {}) => ({
  name,
  image: "podwire/toolbox",
  command: ["sh", "-c", script],
  ...more,
});
/** Identities of a process's namespaces inside of a container. */
const namespaces = async (pod: string, name: string, kinds: readonly string[]) => {
  const script = kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join(";");
  return (await machine.exec(pod, script, { container: name })).stdout.trim().split("\n");
};

describe("what the containers of a pod share", () => {
  beforeAll(() => machine.run("pair", { containers: [container("c"), container("d")] }));

  it("network, host name, IPC and /dev/shm, but not processes and files", async () => {
    const kinds = ["net", "uts", "ipc"];
    expect(await namespaces("pair", "c", kinds)).toEqual(await namespaces("pair", "d", kinds));
    expect(await namespaces("pair", "c", ["uts"])).not.toEqual([machine.shell("readlink /proc/self/ns/uts").trim()]);
    for (const kind of ["pid", "mnt"])
      expect(await namespaces("pair", "c", [kind])).not.toEqual(await namespaces("pair", "d", [kind]));
    await machine.exec("pair", "echo shared > /dev/shm/x; touch /tmp/own", { container: "c" });
    expect((await machine.exec("pair", "cat /dev/shm/x; ls /tmp", { container: "d" })).stdout).toBe("shared\n");
  });

  it("survive the restart of one of them, and of the agent", async () => {
    const [before] = await namespaces("pair", "d", ["ipc"]);
    await machine.exec("pair", "kill 1", { container: "c" });
    await machine.until("the restart", async () => (await machine.container("pair"))?.restartCount === 1);
    expect(await namespaces("pair", "c", ["ipc"])).toEqual([before]);
    await machine.killAgent();
    await machine.startAgent();
    await machine.exec("pair", "kill 1", { container: "d" });
    await machine.until("the other's restart", async () => {
      const status = await machine.container("pair", "d");
      return status?.restartCount === 1 && status.state?.running !== undefined;
    });
    expect(await namespaces("pair", "d", ["ipc"])).toEqual([before]);
    await machine.delete("pair", 1);
    expect(machine.list("/run/podwire/shm")).toEqual([]);
  });
});

describe("shareProcessNamespace", () => {
  beforeAll(() =>
    machine.run("family", {
      shareProcessNamespace: true,
      containers: [container("c", `sleep 5551 & ${STAY}`), container("d", `echo d; ${STAY}`)],
    }),
  );

  it("shows each container the others' processes, below one that reaps", async () => {
    const seen = (await machine.exec("family", "ps -e -o pid=,args=", { container: "d" })).stdout;
    expect(seen).toMatch(/^\s*1 \/pause$/m);
    expect(seen).toContain("sleep 5551");
    expect(seen).toContain("echo d; trap");
    await machine.exec("family", "sh -c 'sleep 0 & exec sleep 0'", { container: "d" });
    await machine.until(
      "no zombies",
      async () =>
        !(await machine.exec("family", "ps -e -o stat=")).stdout.split("\n").some((stat) => stat.startsWith("Z")),
    );
  });

  it("ends all that a container has started with it, and nothing of the others", async () => {
    await machine.exec("family", "kill -9 $(pgrep -o -f 'echo d; trap')", { container: "c" });
    await machine.until("the restart", async () => (await machine.container("family", "d"))?.restartCount === 1);
    expect((await machine.container("family"))?.restartCount).toBe(0);
    await machine.exec("family", "kill -9 $(pgrep -o -f 'sleep 5551 &')", { container: "d" });
    await machine.until("the other restart", async () => (await machine.container("family"))?.restartCount === 1);
    const sleeps = async () => (await machine.exec("family", "pgrep -f '^sleep 5551'", { container: "d" })).stdout;
    expect((await sleeps()).trim().split("\n")).toHaveLength(1);
  });

  it("outlives the agent, and leaves nothing behind", async () => {
    const before = await machine.container("family", "d");
    await machine.killAgent();
    await machine.startAgent();
    await machine.exec("family", "true", { container: "d" });
    expect(await machine.container("family", "d")).toMatchObject({
      containerID: before?.containerID,
      restartCount: before?.restartCount,
      ready: true,
    });
    await machine.delete("family", 1);
    expect(machine.shell("ps ax -o args=")).not.toMatch(/^\/pause|sleep 5551/m);
    expect(machine.list("/run/podwire/containers")).toEqual([]);
  });
});

describe("kubectl debug (part: by the node agent)", () => {
  it("--target shows the processes of that container, and no others", async () => {
    await machine.run("target", {
      containers: [container("c", `sleep 6661 & ${STAY}`), container("d", `sleep 6662 & ${STAY}`)],
    });
    const ephemeralContainers = [
      container("debug", STAY, { targetContainerName: "c" }),
      container("lost", STAY, { targetContainerName: "nobody" }),
    ];
    await machine.client.patch(
      resources.pods,
      "target",
      "default",
      { spec: { ephemeralContainers } },
      { type: "merge" },
    );
    await machine.until(
      "the container",
      async () => (await machine.container("target", "debug"))?.state?.running !== undefined,
    );
    const seen = (await machine.exec("target", "ps -e -o args=", { container: "debug" })).stdout;
    expect(seen).toContain("sleep 6661");
    expect(seen).not.toContain("sleep 6662");
    await machine.until(
      "the failure",
      async () => (await machine.container("target", "lost"))?.state?.waiting?.reason === "CreateContainerConfigError",
    );
    expect((await machine.container("target", "lost"))?.state?.waiting?.message).toBe(
      "unable to find target container nobody",
    );
    expect(machine.events("target").filter((e) => e.startsWith("UnsupportedFields"))).toEqual([]);
    await machine.delete("target", 1);
  });
});

describe("namespaces of the node", () => {
  it("hostPID and hostIPC: the node's processes and shared memory", async () => {
    await machine.run("host", { hostPID: true, hostIPC: true, containers: [container("c")] });
    expect((await machine.exec("host", "ps -e -o args=")).stdout).toContain("sleep 999999");
    const ipc = machine.shell("readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid");
    expect((await machine.exec("host", "readlink /proc/self/ns/ipc; readlink /proc/self/ns/pid")).stdout).toBe(ipc);
    await machine.delete("host", 1);
  });

  it("IPC settings are the pod's own", async () => {
    const sysctls = [{ name: "kernel.shm_rmid_forced", value: "1" }];
    await machine.run("tuned", { securityContext: { sysctls }, containers: [container("c")] });
    const read = "cat /proc/sys/kernel/shm_rmid_forced";
    expect((await machine.exec("tuned", read)).stdout).toBe("1\n");
    expect(machine.shell(read)).toBe("0\n");
    await machine.delete("tuned", 1);
  });
});
