import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, createEventRecorder, Informer, type Pod, resources } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { readLog } from "../logs/index.ts";
import { PodStatuses } from "../pods/index.ts";
import { klogDecoder } from "./klog.ts";
import { MirrorPods, type NodeModule } from "./mirrors.ts";
import { type ModuleSpec, mirrorPod, mirrorStatus, moduleSuffix } from "./model.ts";
import { findProcess, processRun } from "./process.ts";
import { staticModules } from "./static.ts";

const NOW = "2026-11-21T04:00:00Z";
const node = { name: "node01", addresses: ["192.168.1.11"] };
const proxy: ModuleSpec = {
  pod: "kube-proxy",
  naming: "suffix",
  labels: { "k8s-app": "kube-proxy" },
  container: { name: "kube-proxy", image: "registry.k8s.io/kube-proxy:v1" },
  process: "kubelet",
  log: "/var/log/kube-proxy.log",
};
const run = { id: "7/100", startedAt: NOW };
const lines: string[] = [];
const log = createLogger("test", { level: "debug", write: (line) => void lines.push(line) });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-modules-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a module's pod", () => {
  it("has a name that stays, differs between nodes, and looks like a DaemonSet's", () => {
    expect(moduleSuffix("kube-proxy", "node01")).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(moduleSuffix("kube-proxy", "node01")).toBe(moduleSuffix("kube-proxy", "node01"));
    expect(moduleSuffix("kube-proxy", "node01")).not.toBe(moduleSuffix("kube-proxy", "node02"));
    expect(moduleSuffix("kube-proxy", "node01")).not.toBe(moduleSuffix("kube-flannel-ds", "node01"));
  });

  it("stands in kube-system on its node, as a mirror that names its process", () => {
    const pod = mirrorPod(proxy, node);
    expect(pod).toMatchObject({
      metadata: {
        name: `kube-proxy-${moduleSuffix("kube-proxy", "node01")}`,
        namespace: "kube-system",
        labels: { "k8s-app": "kube-proxy" },
        annotations: { "podwire.dev/process": "kubelet" },
      },
      spec: { nodeName: "node01", hostNetwork: true, containers: [proxy.container] },
    });
    expect(pod.metadata.annotations?.["kubernetes.io/config.mirror"]).toMatch(/^[0-9a-f]{32}$/);
    expect(mirrorPod({ ...proxy, pod: "kube-scheduler", naming: "node" }, node).metadata.name).toBe(
      "kube-scheduler-node01",
    );
  });

  it("is ready while the module is well, and counts new processes as restarts", () => {
    const pod = mirrorPod(proxy, node);
    const first = mirrorStatus(pod, { run, problem: undefined }, node, NOW);
    expect(first).toMatchObject({ phase: "Running", podIP: "192.168.1.11", hostIP: "192.168.1.11" });
    expect(first.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0, state: { running: {} } });
    const sick = mirrorStatus({ ...pod, status: first }, { run, problem: "no rules" }, node, NOW);
    expect(sick.containerStatuses?.[0]).toMatchObject({ ready: false, restartCount: 0 });
    expect(sick.conditions?.find((c) => c.type === "Ready")?.status).toBe("False");
    const later = { id: "9/200", startedAt: "2026-11-21T05:00:00Z" };
    const again = mirrorStatus({ ...pod, status: sick }, { run: later, problem: undefined }, node, NOW);
    expect(again.containerStatuses?.[0]).toMatchObject({
      ready: true,
      restartCount: 1,
      state: { running: { startedAt: later.startedAt } },
      lastState: { terminated: { reason: "ContainerStatusUnknown" } },
    });
    const same = mirrorStatus({ ...pod, status: again }, { run: later, problem: undefined }, node, NOW);
    expect(same).toEqual(again);
    const gone = mirrorStatus({ ...pod, status: again }, { run: undefined, problem: "it is gone" }, node, NOW);
    expect(gone.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: "ProcessNotRunning", message: "it is gone" },
    });
  });
});

describe("a process", () => {
  it("is found by its name, with the time of its start", () => {
    const own = processRun(process.pid);
    expect(Date.parse(own?.startedAt ?? "") / 1000).toBeCloseTo(Date.now() / 1000 - process.uptime(), -1);
    expect(processRun(process.pid)).toEqual(own);
    expect(processRun(2 ** 30)).toBeUndefined();
    expect(findProcess("no-such-process")).toBeUndefined();
  });
});

describe("a module's log", () => {
  const text = [
    'I1121 03:51:00.123000 kube-proxy] "one"',
    "    more of it",
    'W1121 03:52:00.000000 kube-proxy] "two" a=1',
    "",
  ].join("\n");
  const nowMs = Date.parse("2026-11-22T00:00:00Z");
  const read = async (options: Parameters<typeof readLog>[1]) => {
    const path = join(folder, "log");
    writeFileSync(path, text);
    const chunks: Buffer[] = [];
    const signal = new AbortController().signal;
    for await (const chunk of readLog(path, options, signal, undefined, klogDecoder(nowMs))) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };

  it("is read as it is, from its end, from a time, with times", async () => {
    expect(await read({})).toBe(text);
    expect(await read({ tailLines: 1 })).toBe('W1121 03:52:00.000000 kube-proxy] "two" a=1\n');
    expect(await read({ sinceMs: Date.parse("2026-11-21T03:51:30Z") })).toBe(
      'W1121 03:52:00.000000 kube-proxy] "two" a=1\n',
    );
    expect((await read({ timestamps: true })).split("\n")[1]).toBe("2026-11-21T03:51:00.123000000Z     more of it");
  });

  it("knows the year of a line of the year before", () => {
    const decode = klogDecoder(Date.parse("2027-01-01T00:00:10Z"));
    expect(decode(Buffer.from("I1231 23:59:59.000000 a] b")).time).toBe("2026-12-31T23:59:59.000000000Z");
    expect(decode(Buffer.from("I0101 00:00:05.000000 a] b")).time).toBe("2027-01-01T00:00:05.000000000Z");
  });
});

describe("static pods", () => {
  it("show processes; others are no modules", async () => {
    const manifest = (name: string, annotations: object) => ({
      metadata: { name, annotations, labels: { component: name } },
      spec: {
        containers: [{ name, image: "i", livenessProbe: { tcpSocket: { host: "127.0.0.1", port: 1 } } }],
      },
    });
    const shown = manifest("kube-scheduler", { "podwire.dev/process": "no-such-process" });
    writeFileSync(join(folder, "a.yaml"), JSON.stringify(shown));
    writeFileSync(join(folder, "b.yaml"), JSON.stringify(manifest("web", {})));
    writeFileSync(join(folder, "c.txt"), "not a manifest");
    writeFileSync(join(folder, "d.yaml"), "{");
    const modules = staticModules(folder, "/var/log", node);
    expect(modules.map(({ spec }) => [spec.pod, spec.process, spec.log])).toEqual([
      ["kube-scheduler", "no-such-process", "/var/log/kube-scheduler.log"],
    ]);
    expect(modules[0]?.run()).toBeUndefined();
    expect(await modules[0]?.problem()).toContain("connection refused");
    expect(staticModules(join(folder, "absent"), "/var/log", node)).toEqual([]);
  });
});

describe("mirror pods", () => {
  const name = mirrorPod(proxy, node).metadata.name;
  let api: FakeApi;
  let client: Client;
  let stop: AbortController;
  let statuses: PodStatuses;
  let mirrors: MirrorPods;
  let makeMirrors: (module: NodeModule) => void;
  let problem: string | undefined;
  let gone: string[];

  beforeEach(() => {
    gone = [];
    api = new FakeApi();
    client = new Client(api);
    stop = new AbortController();
    problem = undefined;
    statuses = new PodStatuses(client, log);
    const pods = new Informer<Pod>(client, resources.pods, {}, { log, signal: stop.signal });
    pods.start();
    const module: NodeModule = { spec: proxy, run: () => run, problem: () => problem };
    const events = createEventRecorder(client, { component: "kubelet" }, { log });
    const reportStatus: ConstructorParameters<typeof MirrorPods>[2]["reportStatus"] = (pod, status) =>
      statuses.report(pod, status);
    makeMirrors = (shown) => {
      const onGone = (uid: string) => gone.push(uid);
      mirrors = new MirrorPods([shown], node, { client, pods, events, log, reportStatus, onGone });
    };
    makeMirrors(module);
  });
  afterEach(async () => {
    await mirrors.stop();
    await statuses.stop();
    stop.abort();
  });

  const get = () => client.get<Pod>(resources.pods, name, "kube-system").catch(() => undefined);
  const until = async <T>(what: () => Promise<T | undefined>): Promise<T> => {
    const end = Date.now() + 5000;
    for (;;) {
      const found = await what();
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error("it did not happen");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const ready = async () => {
    const pod = await get();
    return pod?.status?.containerStatuses?.[0]?.ready ? pod : undefined;
  };

  it("are made, owned by their node, and made again when they are deleted, which an event explains", async () => {
    expect(mirrors.find("kube-system", name)).toBe(proxy);
    expect(mirrors.find("default", name)).toBeUndefined();
    expect(await get()).toBeUndefined();
    mirrors.start("node-uid");
    const first = await until(ready);
    expect(first.metadata.ownerReferences).toMatchObject([{ kind: "Node", name: "node01", uid: "node-uid" }]);
    await client.delete(resources.pods, name, "kube-system");
    const second = await until(async () => {
      const pod = await ready();
      return pod?.metadata.uid === first.metadata.uid ? undefined : pod;
    });
    expect(second.status?.phase).toBe("Running");
    expect(gone).toEqual([first.metadata.uid]);
    const event = await until(async () =>
      api
        .all<{ metadata: { name: string }; reason: string; message: string }>("/api/v1/events")
        .find((e) => e.reason === "MirrorPodRecreated"),
    );
    expect(event.message).toContain("a module of the process kubelet on node01, which goes on");
  });

  it("a module that can is started anew when its pod is deleted, and the new pod shows the new run", async () => {
    let runs = 0;
    const other = { ...proxy, pod: "other" };
    const restarting: NodeModule = {
      spec: other,
      run: () => ({ ...run, id: `run ${runs}` }),
      problem: () => undefined,
      restart: async () => void runs++,
    };
    await mirrors.stop();
    makeMirrors(restarting);
    const otherName = mirrorPod(other, node).metadata.name;
    const shown = async () => {
      const pod = await client.get<Pod>(resources.pods, otherName, "kube-system").catch(() => undefined);
      return pod?.status?.containerStatuses?.[0]?.ready ? pod : undefined;
    };
    mirrors.start("node-uid");
    const first = await until(shown);
    expect(runs).toBe(0);
    await client.delete(resources.pods, otherName, "kube-system");
    const second = await until(async () => {
      const pod = await shown();
      return pod?.metadata.uid === first.metadata.uid ? undefined : pod;
    });
    expect(runs).toBe(1);
    const container = (pod: Pod) => pod.status?.containerStatuses?.[0];
    expect(container(second)?.restartCount).toBe(0);
    expect(container(second)?.containerID).not.toBe(container(first)?.containerID);
    const events = () => api.all<{ metadata: { name: string }; message: string }>("/api/v1/events");
    await until(async () => events().find(({ message }) => message.endsWith("which was started anew")));
  });

  it("are taken over, replaced when they show something else, and removed when nothing is behind them", async () => {
    const old = mirrorPod({ ...proxy, container: { name: "kube-proxy", image: "old" } }, node);
    const stray = mirrorPod({ ...proxy, pod: "stray" }, node);
    for (const pod of [old, stray]) await client.create(resources.pods, pod);
    mirrors.start("node-uid");
    const pod = await until(ready);
    expect(pod.spec.containers[0]?.image).toBe(proxy.container.image);
    await until(async () => {
      const all = api.all<Pod>("/api/v1/pods");
      return all.length === 1 ? all : undefined;
    });
  });
});
