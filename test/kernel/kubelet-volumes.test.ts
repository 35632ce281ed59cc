import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { needsIds } from "#test/support/ids.ts";
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

  it("belong to the pod's fsGroup, which its processes are in", needsIds, async () => {
    await machine.run("grouped", {
      securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000 },
      containers: [
        {
          name: "c",
          image: "podwire/toolbox",
          volumeMounts: [
            { name: "e", mountPath: "/e" },
            { name: "v", mountPath: "/v" },
          ],
        },
      ],
      volumes: [
        { name: "e", emptyDir: {} },
        {
          name: "v",
          downwardAPI: { defaultMode: 0o400, items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] },
        },
      ],
    });
    const script = "id -G; touch /e/x; stat -c '%g %A' /e; stat -c '%u %g' /e/x; stat -Lc '%g %A' /v/name; cat /v/name";
    expect((await machine.exec("grouped", script)).stdout).toBe(
      "1000 2000\n2000 drwxrwsrwx\n1000 2000\n2000 -r--r-----\ngrouped",
    );
    await machine.delete("grouped", 1);
  });

  it("in memory are as large as they may be; on disk, what grows beyond its limit ends the pod", async () => {
    const mount = { name: "c", image: "podwire/toolbox", volumeMounts: [{ name: "e", mountPath: "/e" }] };
    await machine.run("memory", {
      containers: [mount],
      volumes: [{ name: "e", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } }],
    });
    const { code, stderr } = await machine.exec(
      "memory",
      "dd if=/dev/zero of=/e/x bs=1M count=2; stat -f -c %T /e >&2",
    );
    expect([code, stderr]).toEqual([0, expect.stringMatching(/No space left on device[\s\S]*tmpfs/)]);
    await machine.delete("memory", 1);
    expect(machine.shell("cat /proc/mounts")).not.toContain("/var/lib/kubelet/pods");
    const command = ["sh", "-c", "dd if=/dev/zero of=/e/x bs=1M count=3; sleep 1000"];
    const { status } = await machine.run(
      "full",
      {
        // It is not waited for: upstream gives one second.
        terminationGracePeriodSeconds: 600,
        containers: [{ ...mount, command }],
        volumes: [{ name: "e", emptyDir: { sizeLimit: "2Mi" } }],
      },
      "Failed",
    );
    const message = 'Usage of EmptyDir volume "e" exceeds the limit "2Mi". ';
    expect(status).toMatchObject({ reason: "Evicted", message });
    await expect.poll(() => machine.events("full")).toContain(`Evicted: ${message}`);
    await machine.delete("full", 1);
  });

  it("are mounted in parts: subPath, subPathExpr", async () => {
    await machine.client.create(resources.configMaps, {
      metadata: { name: "parts", namespace: "default" },
      data: { "a.conf": "a\n" },
    });
    await machine.run("parts", {
      containers: [
        {
          name: "c",
          image: "podwire/toolbox",
          env: [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
          volumeMounts: [
            { name: "e", mountPath: "/logs", subPathExpr: "pods/$(POD)" },
            { name: "e", mountPath: "/all" },
            { name: "v", mountPath: "/etc/my/a.conf", subPath: "a.conf" },
          ],
        },
      ],
      volumes: [
        { name: "e", emptyDir: {} },
        { name: "v", configMap: { name: "parts" } },
      ],
    });
    expect((await machine.exec("parts", "echo x > /logs/f; cat /all/pods/parts/f /etc/my/a.conf")).stdout).toBe(
      "x\na\n",
    );
    await machine.delete("parts", 1);
    const volumeMounts = [{ name: "e", mountPath: "/logs", subPathExpr: "$(NOBODY)" }];
    await machine.create("noparts", {
      containers: [{ name: "c", image: "podwire/toolbox", volumeMounts }],
      volumes: [{ name: "e", emptyDir: {} }],
    });
    await machine.until(
      "an error",
      async () => (await machine.container("noparts"))?.state?.waiting?.reason === "CreateContainerConfigError",
    );
    expect((await machine.container("noparts"))?.state?.waiting?.message).toBe('missing value for "NOBODY"');
    await machine.delete("noparts", 1);
  });

  it.each([
    ["Socket", "/run/test/file", "socket file"],
    ["CharDevice", "/run/test/file", "character device"],
    ["BlockDevice", "/run/test/file", "block device"],
    ["Directory", "/run/test/nowhere", "directory"],
    ["File", "/run/test", "file"],
  ])("of the node have to be what they are said to be: %s %s", async (type, path, called) => {
    machine.shell("touch /run/test/file");
    await machine.create(`typed-${type.toLowerCase()}`, {
      containers: [{ name: "c", image: "podwire/toolbox" }],
      volumes: [{ name: "h", hostPath: { path, type } }],
    });
    await machine.until("an event", async () =>
      machine
        .events(`typed-${type.toLowerCase()}`)
        .includes(
          `FailedMount: MountVolume.SetUp failed for volume "h" : hostPath type check failed: ${path} is not a ${called}`,
        ),
    );
    await machine.delete(`typed-${type.toLowerCase()}`, 1);
  });

  it("show the pod's labels as they are now", async () => {
    const items = [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }];
    await machine.run("labelled", {
      containers: [{ name: "c", image: "podwire/toolbox", volumeMounts: [{ name: "d", mountPath: "/d" }] }],
      volumes: [{ name: "d", downwardAPI: { items } }],
    });
    await machine.client.patch(
      resources.pods,
      "labelled",
      "default",
      { metadata: { labels: { a: "b" } } },
      { type: "merge" },
    );
    await machine.until("the label", async () => (await machine.exec("labelled", "cat /d/labels")).stdout === 'a="b"');
    await machine.delete("labelled", 1);
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
      machine.events("late").some((e) => e.includes('configmap "later" not found')),
    );
    await machine.client.create(resources.configMaps, { metadata: { name: "later", namespace: "default" }, data: {} });
    await machine.until("a running pod", async () => (await machine.pod("late"))?.status?.phase === "Running");
    await machine.delete("late");
  });
});
