import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Container, type Pod, resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const light = { "podwire.dev/light": "true" };
const echo: Container = { name: "c", image: "podwire/echo", args: ["--port=8080", "--body=hello of $(NAME)"] };
const env = [{ name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
const NO_PROCESS =
  'the pod has the annotation podwire.dev/light: "true", so its containers have no process of their own';

function create(name: string, containers: Container[], annotations: Record<string, string> = light) {
  const spec = { nodeName: "node01", containers };
  return machine.client.create(resources.pods, { metadata: { name, namespace: "default", annotations }, spec });
}

async function isReady(name: string): Promise<boolean> {
  return (await machine.pod(name))?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

async function run(name: string, containers: Container[]): Promise<string> {
  await create(name, containers);
  await machine.until(`ready pod ${name}`, () => isReady(name));
  return (await machine.pod(name))?.status?.podIP ?? "";
}

/** Processes whose root is that of a container. */
function containerProcesses(): number {
  return Number(
    machine.shell("cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -c upperdir=/run/podwire/containers || true"),
  );
}

const get = (ip: string, port = 8080) => machine.shell(`curl -s -m 5 --noproxy '*' http://${ip}:${port}/`);

describe("light pods: containers of the echo template without a process", () => {
  it("answers at its address, with probes, arguments, events and status as any pod", async () => {
    const probed = {
      ...echo,
      env,
      readinessProbe: { httpGet: { port: 8080 } },
      livenessProbe: { tcpSocket: { port: 8080 } },
    };
    const ip = await run("probed", [probed]);
    expect(get(ip)).toBe("hello of probed\n");
    expect(containerProcesses()).toBe(0);
    await expect
      .poll(() => machine.events("probed").map((e) => e.split(":")[0]))
      .toEqual(expect.arrayContaining(["ImageTemplate", "Pulled", "Created", "Started"]));
    const status = await machine.container("probed");
    expect(status).toMatchObject({ ready: true, started: true, restartCount: 0 });
    expect(status?.containerID).toMatch(/^podwire:\/\/[0-9a-f]{64}$/);
    expect(await machine.get("/containerLogs/default/probed/c")).toEqual({ status: 200, body: "" });
    await machine.delete("probed");
    expect(machine.shell(`curl -s -m 1 --noproxy '*' http://${ip}:8080/ || echo gone`)).toBe("gone\n");
    expect(machine.list("/run/netns")).toEqual([]);
  });

  it("shows no container to enter, and says which annotation is the reason", async () => {
    await run("closed", [echo]);
    const body = `container c of pod closed cannot be entered or attached to: ${NO_PROCESS}`;
    expect(await machine.get("/run/default/closed/c?cmd=true", "POST")).toEqual({ status: 400, body: `${body}\n` });
    expect((await machine.exec("closed", "true")).message).toBe(
      `Internal error occurred: unable to upgrade connection: ${body}`,
    );
    await machine.delete("closed");
  });

  it.each([
    ["probe", { livenessProbe: { exec: { command: ["true"] } } }, "livenessProbe.exec"],
    ["hook", { lifecycle: { preStop: { exec: { command: ["true"] } } } }, "preStop.exec"],
  ])("refuses a %s that is a command", async (name, more, field) => {
    await create(name, [{ ...echo, ...more }]);
    const waiting = async () => (await machine.container(name))?.state?.waiting;
    await machine.until(`refusal of ${name}`, async () => (await waiting())?.reason === "CreateContainerConfigError");
    expect((await waiting())?.message).toBe(`${field} of container c cannot be run: ${NO_PROCESS}`);
    await machine.delete(name, 1);
  });

  it("runs a pod of another image as an ordinary one, and says so", async () => {
    await run("other", [echo, { name: "side", image: "podwire/toolbox" }]);
    const message =
      "The annotation podwire.dev/light is for containers of the image podwire/echo; container side is of podwire/toolbox: the pod runs as an ordinary one";
    await expect.poll(() => machine.events("other")).toContain(`NotLight: ${message}`);
    expect((await machine.exec("other", "echo here", { container: "side" })).stdout).toBe("here\n");
    expect(containerProcesses()).toBeGreaterThan(0);
    await machine.delete("other", 1);
  });

  it("ends one whose port is taken, and its log says why", async () => {
    const spec: Pod["spec"] = {
      nodeName: "node01",
      restartPolicy: "Never",
      containers: [echo, { ...echo, name: "late" }],
    };
    await machine.client.create(resources.pods, {
      metadata: { name: "taken", namespace: "default", annotations: light },
      spec,
    });
    const ended = async () => {
      const all = [await machine.container("taken"), await machine.container("taken", "late")];
      return all.find((status) => status?.state?.terminated);
    };
    await machine.until("a container that ends", async () => (await ended()) !== undefined);
    const loser = await ended();
    expect(loser?.state?.terminated?.exitCode).toBe(137);
    expect((await machine.get(`/containerLogs/default/taken/${loser?.name}`)).body).toMatch(/EADDRINUSE|in use/i);
    await machine.delete("taken", 1);
  });

  it("goes on answering while the agent is killed, and is adopted by the next one", async () => {
    const ip = await run("lasting", [echo]);
    const before = await machine.container("lasting");
    await machine.killAgent();
    expect(get(ip)).toBe("hello of $(NAME)\n");
    await machine.startAgent();
    await machine.until("a ready node", () => isReady("lasting"));
    expect(await machine.container("lasting")).toMatchObject({ containerID: before?.containerID, restartCount: 0 });
    expect(get(ip)).toBe("hello of $(NAME)\n");
    await machine.delete("lasting");
    expect(machine.shell(`curl -s -m 1 --noproxy '*' http://${ip}:8080/ || echo gone`)).toBe("gone\n");
  });

  it("is looked into by an ephemeral container, which has a process; not by way of its own", async () => {
    await run("seen", [echo]);
    const debug = (name: string, more = {}) => ({ name, image: "podwire/toolbox", ...more });
    const spec = { ephemeralContainers: [debug("eyes"), debug("inner", { targetContainerName: "c" })] };
    await machine.client.patch(resources.pods, "seen", "default", { spec }, { type: "merge" });
    await machine.until("eyes", async () => (await machine.container("seen", "eyes"))?.state?.running !== undefined);
    const { stdout } = await machine.exec("seen", "curl -s --noproxy '*' localhost:8080", { container: "eyes" });
    expect(stdout).toBe("hello of $(NAME)\n");
    await machine.until(
      "a refusal",
      async () => (await machine.container("seen", "inner"))?.state?.waiting !== undefined,
    );
    const { message } = (await machine.container("seen", "inner"))?.state?.waiting ?? {};
    expect(message).toBe(`container c has no processes to look at: ${NO_PROCESS}`);
    await machine.delete("seen", 1);
  });
});
