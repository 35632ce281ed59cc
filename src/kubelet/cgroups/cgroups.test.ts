import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Container, Pod } from "#api/index.ts";
import { NodeCgroups, oomScoreAdj } from "./index.ts";
import { containerGroup, cpuMax, cpuWeight, pathOfProcess, podGroup } from "./plan.ts";

const pod = (spec: Partial<Pod["spec"]>): Pod => ({
  metadata: { name: "p", uid: "u1" },
  spec: { containers: [], ...spec },
});
const container = (resources: Container["resources"] = {}, more = {}): Container => ({
  name: "c",
  image: "i",
  resources,
  ...more,
});

describe("what the kernel is told of a pod's resources", () => {
  // kubelet/cm/helpers_linux_test.go (shares and quotas); 1 + (shares - 2) * 9999 / 262142 of them.
  it.each([
    [0, 1],
    [1, 1],
    [100, 4],
    [250, 10],
    [1000, 39],
    [256_000, 10_000],
    [1_000_000, 10_000],
  ])("%i thousandths of a processor weigh %i", (milli, weight) => expect(cpuWeight(milli)).toBe(weight));

  it.each([
    [0, "max 100000"],
    [1, "1000 100000"],
    [5, "1000 100000"],
    [200, "20000 100000"],
    [1500, "150000 100000"],
  ])("%i thousandths as a limit are %s", (milli, text) => expect(cpuMax(milli)).toBe(text));

  it("puts pods into the folders of their classes", () => {
    const limits = { cpu: "1", memory: "64Mi" };
    expect(podGroup(pod({ containers: [container()] })).path).toBe("kubepods/besteffort/podu1");
    expect(podGroup(pod({ containers: [container({ requests: { cpu: "1" } })] })).path).toBe(
      "kubepods/burstable/podu1",
    );
    const guaranteed = pod({ containers: [container({ limits })] });
    expect(podGroup(guaranteed)).toEqual({
      path: "kubepods/podu1",
      settings: { "cpu.weight": "39", "cpu.max": "100000 100000", "memory.max": "67108864" },
    });
    expect(containerGroup(guaranteed, container({ limits }), "id")).toMatchObject({
      path: "kubepods/podu1/id",
      settings: { "memory.max": "67108864", "memory.oom.group": "1", "memory.swap.max": "0" },
    });
  });

  // kubelet/qos/policy_test.go.
  it.each([
    ["without requests", {}, 1000],
    ["that asks for the processor alone", { requests: { cpu: "5m" } }, 999],
    ["that asks for half of the memory", { requests: { cpu: "5m", memory: "4Gi" } }, 500],
    ["that asks for all of it", { requests: { memory: "8Gi" } }, 3],
    ["with guarantees", { limits: { cpu: "1", memory: "1Gi" } }, -997],
  ])("a container %s is ended for want of memory as upstream says", (_, resources, score) => {
    const one = container(resources);
    expect(oomScoreAdj(pod({ containers: [one] }), one, 8 * 2 ** 30)).toBe(score);
    expect(oomScoreAdj(pod({ containers: [one], priority: 2_000_001_000 }), one, 8 * 2 ** 30)).toBe(-997);
  });

  // kubelet/qos/policy.go: the rest of a pod's own request in equal parts; a sidecar as the least of the others.
  it.each([
    ["what the least of the others asks for", "1Gi", ["2Gi", "6Gi"], {}, 750],
    ["its own where that is more", "4Gi", ["2Gi", "6Gi"], {}, 500],
    ["its part of what the pod asks for", "1Gi", ["1Gi"], { requests: { memory: "4Gi" } }, 750],
  ])("counts for a sidecar %s", (_, own, others, resources, score) => {
    const side = container({ requests: { memory: own } }, { name: "side", restartPolicy: "Always" });
    const containers = others.map((memory) => container({ requests: { memory } }));
    const spec = { initContainers: [side], containers, ...("requests" in resources ? { resources } : {}) };
    expect(oomScoreAdj(pod(spec), side, 8 * 2 ** 30)).toBe(score);
  });

  it("puts a pod with resources of its own into the class that they make", () => {
    const resources = { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } };
    const one = container();
    expect(podGroup(pod({ containers: [one], resources })).path).toBe("kubepods/podu1");
    expect(oomScoreAdj(pod({ containers: [one], resources }), one, 8 * 2 ** 30)).toBe(-997);
  });

  it("bounds how many processes a pod has where the node is told to", () => {
    // kubelet/cm/pod_container_manager_linux.go, EnsureExists; cgroup_manager_linux.go writes it as pids.max.
    expect(podGroup(pod({ containers: [container()] }), 100).settings).toMatchObject({ "pids.max": "100" });
    expect(podGroup(pod({ containers: [container()] })).settings).not.toHaveProperty("pids.max");
  });

  it("bounds a pod only when each container is bound", () => {
    const one = container({ limits: { memory: "64Mi" }, requests: { cpu: "100m" } });
    const other = container({ requests: { cpu: "150m" } });
    expect(podGroup(pod({ containers: [one, other] })).settings).toEqual({
      "cpu.weight": "10",
      "cpu.max": "max 100000",
      "memory.max": "max",
    });
    expect(podGroup(pod({ containers: [one, one] })).settings).toMatchObject({ "memory.max": "134217728" });
    const own = pod({ containers: [one, other], resources: { limits: { memory: "1Gi" } } });
    expect(podGroup(own).settings).toMatchObject({ "memory.max": "1073741824" });
  });

  it("takes the greater of init containers and the others, sidecars with both", () => {
    const memory = (text: string) => ({ limits: { memory: text } });
    const initContainers = [container(memory("16Mi"), { restartPolicy: "Always" }), container(memory("64Mi"))];
    const spec = { initContainers, containers: [container(memory("32Mi"))] };
    expect(podGroup(pod(spec)).settings).toMatchObject({ "memory.max": String((16 + 64) << 20) });
  });

  it("finds a container's group in what /proc says, wherever the node's own begins", () => {
    const id = "a".repeat(64);
    expect(pathOfProcess(`1:cpu:/x\n0::/node01/kubepods/burstable/podu1/${id}\n`)).toBe(
      `kubepods/burstable/podu1/${id}`,
    );
    expect(pathOfProcess("0::/lab\n")).toBeUndefined();
    expect(pathOfProcess("0::/kubepods/burstable\n")).toBeUndefined();
  });
});

describe("a node's groups", () => {
  let root: string;
  /** A folder as the kernel makes it. */
  const group = (path: string, files: Record<string, string> = {}) => {
    mkdirSync(join(root, path), { recursive: true });
    const all = { "cgroup.controllers": "cpu io memory pids\n", "cgroup.subtree_control": "", ...files };
    for (const [name, text] of Object.entries(all)) writeFileSync(join(root, path, name), text);
  };
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "pw-groups-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("are there only where the node was given one with something to bound", () => {
    expect(NodeCgroups.open(root)).toBeUndefined();
    group("", { "cgroup.controllers": "" });
    expect(NodeCgroups.open(root)).toBeUndefined();
    group("", { "cgroup.controllers": "io\n" });
    expect(NodeCgroups.open(root)).toBeUndefined();
    expect(existsSync(join(root, "kubepods"))).toBe(false);
  });

  it("say what they bind, and take pods' settings that the kernel has", () => {
    group("");
    group("kubepods", { "memory.max": "max\n" });
    group("kubepods/burstable", { "cpu.weight": "100\n" });
    group("kubepods/besteffort", { "cpu.weight": "100\n" });
    group("kubepods/burstable/podu1", { "memory.max": "max\n", "cpu.weight": "100\n" });
    const groups = NodeCgroups.open(root);
    expect([...(groups?.bound ?? [])]).toEqual(["memory"]);
    expect(read("kubepods/cgroup.subtree_control")).toBe("+cpu +memory +pids");
    const resources = { limits: { memory: "64Mi" }, requests: { cpu: "250m" } };
    groups?.addPod(pod({ containers: [container(resources)] }));
    expect(read("kubepods/burstable/podu1/memory.max")).toContain("67108864");
    expect(existsSync(join(root, "kubepods/burstable/podu1/cpu.max"))).toBe(false);
    expect(read("kubepods/burstable/cpu.weight")).toMatch(/^10/);
    mkdirSync(join(root, "kubepods/burstable/podu1/id"));
    const one = groups?.addContainer({ path: "kubepods/burstable/podu1/id", settings: {} });
    expect(one?.wasOutOfMemory()).toBe(false);
    writeFileSync(join(root, "kubepods/burstable/podu1/id/memory.events"), "low 0\nmax 12\noom 1\noom_kill 2\n");
    expect(one?.wasOutOfMemory()).toBe(true);
  });
});
