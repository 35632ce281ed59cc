import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const PATH = "/run/test/manifests";
const MIRROR = "web-node01";

/** Writes a manifest whose container stays and says a word. */
function write(word: string): void {
  const command = JSON.stringify(["sh", "-c", `trap 'exit 0' TERM; echo ${word}; sleep 44440 & wait`]);
  const manifest = `apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - {name: c, image: podwire/toolbox, command: ${command}}
`;
  machine.shell(
    `mkdir -p ${PATH}; cat > ${PATH}/.web.new <<'END'\n${manifest}END\nmv ${PATH}/.web.new ${PATH}/web.yaml`,
  );
}
const log = async () => (await machine.get(`/containerLogs/default/${MIRROR}/c`)).body;
/** How many processes of the pod there are. */
const sleepers = () => machine.shell("pgrep -fc '^sleep 44440' || true");
const mirror = () => machine.pod(MIRROR);

describe("K03 static pods (part: run by the node agent)", () => {
  it("run from a file, and are shown in the API with their status", async () => {
    write("one");
    await machine.killAgent();
    await machine.startAgent();
    await machine.until("the mirror's status", async () => (await mirror())?.status?.phase === "Running");
    const pod = await mirror();
    expect(pod?.metadata).toMatchObject({
      labels: { app: "web" },
      annotations: { "kubernetes.io/config.source": "file" },
      ownerReferences: [{ kind: "Node", name: "node01" }],
    });
    expect(pod?.metadata.annotations?.["kubernetes.io/config.mirror"]).toBe(
      pod?.metadata.annotations?.["kubernetes.io/config.hash"],
    );
    expect(pod?.status).toMatchObject({
      podIP: expect.stringMatching(/^10\.244\.1\./),
      containerStatuses: [{ ready: true }],
    });
    await machine.until("its output", async () => (await log()) === "one\n");
    expect((await machine.exec(MIRROR, "echo inside")).stdout).toBe("inside\n");
  });

  it("outlive the agent and the deletion of their mirror", async () => {
    const before = (await mirror())?.status?.containerStatuses?.[0]?.containerID;
    const { uid } = (await mirror())?.metadata ?? {};
    await machine.killAgent();
    await machine.startAgent();
    await machine.client.delete(resources.pods, MIRROR, "default");
    await machine.until("another mirror", async () => {
      const pod = await mirror();
      return pod !== undefined && pod.metadata.uid !== uid && pod.status?.phase === "Running";
    });
    expect((await mirror())?.status?.containerStatuses?.[0]?.containerID).toBe(before);
    expect(sleepers()).toBe("1\n");
  });

  it("are replaced when their file changes, and end when it goes", async () => {
    write("two");
    await machine.until("the new one", async () => (await log()) === "two\n");
    await machine.until("its status", async () => (await mirror())?.status?.containerStatuses?.[0]?.ready === true);
    // It has written before it is what is counted.
    await machine.until("one process", async () => sleepers() === "1\n");
    machine.shell(`rm ${PATH}/web.yaml`);
    await machine.until("its end", async () => !machine.shell("ps ax").includes("sleep 44440"));
    await machine.until("its mirror's end", async () => (await mirror()) === undefined);
    await expect.poll(() => machine.list("/run/podwire/pods")).toEqual([]);
  });
});
