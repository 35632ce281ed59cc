import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

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
      machine.events("late").some((e) => e.includes('configmap "default/later" not found')),
    );
    await machine.client.create(resources.configMaps, { metadata: { name: "later", namespace: "default" }, data: {} });
    await machine.until("a running pod", async () => (await machine.pod("late"))?.status?.phase === "Running");
    await machine.delete("late");
  });
});
