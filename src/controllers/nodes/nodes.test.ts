import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Condition, type EndpointSlice, type Node, type Pod, resources } from "#api/index.ts";
import { conditionOf } from "../objects.ts";
import { InProcessCluster } from "../testing/cluster.ts";
import { type EvictionRule, evictionRules } from "./disruption.ts";
import { graceMs } from "./eviction.ts";
import { planNode } from "./lifecycle.ts";
import { removalOf, surplusOf } from "./podgc.ts";

const named = (name: string, ready: boolean, zone = "", taints: NonNullable<Node["spec"]>["taints"] = []): Node => ({
  metadata: { name, labels: { "topology.kubernetes.io/zone": zone } },
  spec: { taints },
  status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

describe("taint eviction plan", () => {
  const unreachable = { key: "node.kubernetes.io/unreachable", effect: "NoExecute" } as const;
  const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoExecute" } as const;
  const toleration = (key: string, tolerationSeconds?: number) => ({
    key,
    operator: "Exists" as const,
    effect: "NoExecute" as const,
    ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
  });

  it("evicts at once what does not tolerate, never what tolerates for ever", () => {
    expect(graceMs([unreachable], [])).toBe(0);
    expect(graceMs([{ ...unreachable, effect: "NoSchedule" }], [])).toBeUndefined();
    expect(graceMs([unreachable], [toleration(unreachable.key)])).toBeUndefined();
    expect(graceMs([unreachable], [{ operator: "Exists" }])).toBeUndefined();
  });

  it("waits the shortest time of the tolerations in use", () => {
    const tolerations = [toleration(unreachable.key, 300), toleration(notReady.key, 20)];
    expect(graceMs([unreachable], tolerations)).toBe(300_000);
    expect(graceMs([unreachable, notReady], tolerations)).toBe(20_000);
    expect(graceMs([unreachable], [toleration(unreachable.key, -5)])).toBe(0);
  });
});

describe("eviction rules", () => {
  const rules = (nodes: Node[]) => {
    const rule = evictionRules(nodes);
    return nodes.map(rule);
  };
  const many = (lost: number, ready: number, zone = "") => [
    ...Array.from({ length: lost }, (_, i) => named(`lost${i}`, false, zone)),
    ...Array.from({ length: ready }, (_, i) => named(`ready${i}`, true, zone)),
  ];

  it("evict while others are there", () => {
    expect(new Set(rules(many(1, 2)))).toEqual(new Set<EvictionRule>(["evict"]));
    expect(new Set(rules(many(2, 1)))).toEqual(new Set<EvictionRule>(["evict"]));
  });

  it("call all off when no node is ready: it is the control plane that is cut off", () => {
    expect(rules([named("only", false)])).toEqual(["clear"]);
    expect(new Set(rules([...many(2, 0, "a"), ...many(1, 0, "b")]))).toEqual(new Set<EvictionRule>(["clear"]));
    expect(rules([...many(1, 0, "a"), named("x", true, "b")])).toEqual(["evict", "evict"]);
  });

  it("hold when more than two and most of a small zone are lost", () => {
    expect(new Set(rules(many(3, 2)))).toEqual(new Set<EvictionRule>(["hold"]));
    expect(new Set(rules(many(3, 3)))).toEqual(new Set<EvictionRule>(["evict"]));
    expect(new Set(rules(many(40, 11)))).toEqual(new Set<EvictionRule>(["evict"]));
  });

  it("decide the NoExecute taint only", () => {
    const now = new Date("2026-01-01T00:00:00Z");
    const taints = (node: Node, rule: EvictionRule) =>
      planNode(node, false, now, rule).taints?.map(({ effect }) => effect);
    const fresh = named("n", false);
    expect(taints(fresh, "evict")).toEqual(["NoSchedule", "NoExecute"]);
    expect(taints(fresh, "hold")).toEqual(["NoSchedule"]);
    const begun = { ...fresh, spec: { taints: planNode(fresh, false, now).taints ?? [] } };
    expect(taints(begun, "hold")).toBeUndefined();
    expect(taints(begun, "clear")).toEqual(["NoSchedule"]);
  });
});

describe("pod collection plan", () => {
  const pod = (spec: object, metadata: object = {}, status: Pod["status"] = { phase: "Running" }): Pod => ({
    metadata: { name: "p", ...metadata },
    spec: { containers: [], ...spec },
    status,
  });
  const nowhere = () => undefined;

  it("removes pods of nodes that are gone, once that is sure", () => {
    expect(removalOf(pod({ nodeName: "n" }), nowhere, () => false)).toBeUndefined();
    expect(removalOf(pod({ nodeName: "n" }), nowhere, () => true)).toBe("orphaned");
  });

  it("removes deleted pods that no kubelet will end", () => {
    const deleted = { deletionTimestamp: "now" };
    expect(removalOf(pod({}, deleted), nowhere, () => true)).toBe("unscheduled");
    expect(removalOf(pod({}), nowhere, () => true)).toBeUndefined();
    const retired = named("n", false, "", [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }]);
    expect(
      removalOf(
        pod({ nodeName: "n" }, deleted),
        () => retired,
        () => false,
      ),
    ).toBe("out-of-service");
    expect(
      removalOf(
        pod({ nodeName: "n" }),
        () => retired,
        () => false,
      ),
    ).toBeUndefined();
    expect(
      removalOf(
        pod({ nodeName: "n" }, deleted),
        () => named("n", false),
        () => false,
      ),
    ).toBeUndefined();
  });

  it("keeps the newest ended pods, evicted ones go first", () => {
    const ended = (name: string, creationTimestamp: string, reason?: string) =>
      pod({}, { name, creationTimestamp }, { phase: "Failed", ...(reason ? { reason } : {}) });
    const pods = [ended("new", "3"), ended("evicted", "4", "Evicted"), ended("old", "1"), ended("mid", "2"), pod({})];
    expect(surplusOf(pods, 2).map(({ metadata }) => metadata.name)).toEqual(["evicted", "old"]);
    expect(surplusOf(pods, 4)).toEqual([]);
    expect(surplusOf(pods, 0)).toEqual([]);
  });
});

describe("nodes with the API server", () => {
  let plane: InProcessCluster;
  beforeEach(() => {
    plane = new InProcessCluster();
  });
  afterEach(async () => await plane.stop());
  const until = async (what: () => Promise<unknown>, expected: unknown) =>
    await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
  const getNode = async (name: string) => await plane.client.get<Node>(resources.nodes, name);
  const readiness = async (name: string) => conditionOf((await getNode(name)).status?.conditions, "Ready")?.status;
  const taints = async (name: string) =>
    ((await getNode(name)).spec?.taints ?? []).map(({ key, effect }) => `${key.split("/")[1]}:${effect}`);
  /** Plays the heartbeats of a node. */
  const beat = (name: string) => {
    const timer = setInterval(() => void plane.renew(name).catch(() => {}), 50);
    return () => clearInterval(timer);
  };

  it("a silent node is Unknown, tainted, its pods leave Services and are evicted; it returns", async () => {
    await plane.startControllers();
    await plane.node("node01");
    await plane.node("node02");
    const [stop1, stop2] = [beat("node01"), beat("node02")];
    const web = { app: "web" };
    await plane.client.create(resources.services, {
      metadata: { name: "web", namespace: "default" },
      spec: { selector: web, ports: [{ port: 80 }] },
    });
    await plane.pod("stays", { nodeName: "node01", tolerations: [{ operator: "Exists" }] }, web);
    await plane.pod("goes", {
      nodeName: "node01",
      tolerations: [
        { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 0 },
      ],
    });
    await plane.run("stays", "10.244.1.2");
    await plane.run("goes", "10.244.1.3");
    // Not before: on a busy machine a node can be silent for so long, and what runs a pod writes its whole status.
    await plane.stopControllers();
    await plane.startControllers({ nodeGraceMs: 400 });
    const readyEndpoints = async () => {
      const { items } = await plane.client.list<EndpointSlice>(resources.endpointSlices, { namespace: "default" });
      const endpoints = items.flatMap((slice) => slice.endpoints);
      return endpoints.filter(({ targetRef, conditions }) => targetRef?.name === "stays" && conditions?.ready).length;
    };
    await until(readyEndpoints, 1);

    stop1();
    await until(() => readiness("node01"), "Unknown");
    await until(() => taints("node01"), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    await until(readyEndpoints, 0);
    expect(await readiness("node02")).toBe("True");
    await until(async () => (await plane.getPod("goes"))?.metadata.deletionTimestamp !== undefined, true);
    const target = async (): Promise<Condition | undefined> =>
      conditionOf((await plane.getPod("goes"))?.status?.conditions, "DisruptionTarget");
    expect(await target()).toMatchObject({
      status: "True",
      reason: "DeletionByTaintManager",
      message: "Taint manager: deleting due to NoExecute taint",
    });
    await until(() => plane.messages("TaintManagerEviction"), ["Marking for deletion Pod default/goes"]);
    expect((await plane.getPod("stays"))?.metadata.deletionTimestamp).toBeUndefined();

    const stop = beat("node01");
    await plane.ready("node01", "True");
    await until(() => taints("node01"), []);
    stop();
    stop2();
  });

  it("evicts after tolerationSeconds, and not when the taint goes before", async () => {
    await plane.startControllers();
    await plane.node("node01");
    await plane.node("node02");
    const tolerant = (tolerationSeconds: number): Partial<Pod["spec"]> => ({
      nodeName: "node01",
      tolerations: [{ key: "mine", operator: "Exists", effect: "NoExecute", tolerationSeconds }],
    });
    await plane.pod("short", tolerant(1));
    await plane.pod("long", tolerant(3600));
    const taint = (taints: object[]) =>
      plane.client.patch(resources.nodes, "node01", undefined, { spec: { taints } }, { type: "merge" });
    await taint([{ key: "mine", effect: "NoExecute" }]);
    await until(async () => (await plane.getPod("short"))?.metadata.deletionTimestamp !== undefined, true);
    await taint([]);
    await until(
      async () => (await plane.messages("TaintManagerEviction")).sort(),
      ["Cancelling deletion of Pod default/long", "Marking for deletion Pod default/short"],
    );
    expect((await plane.getPod("long"))?.metadata.deletionTimestamp).toBeUndefined();
  });

  it("collects pods of a deleted node, and pods deleted before they had one", async () => {
    await plane.startControllers({ podGcQuarantineMs: 50 });
    await plane.node("node01");
    await plane.pod("orphan", { nodeName: "node01" });
    await plane.run("orphan", "10.244.0.2");
    await plane.pod("never", { nodeSelector: { no: "where" } });
    const finalizers = { metadata: { finalizers: ["example.com/hold"] } };
    await plane.client.patch(resources.pods, "never", "default", finalizers, { type: "merge" });
    await plane.client.delete(resources.pods, "never", "default");
    await until(async () => (await plane.getPod("never"))?.status?.phase, "Failed");
    await plane.client.delete(resources.nodes, "node01");
    await until(() => plane.getPod("orphan"), undefined);
    await until(() => plane.messages("RemovingNode"), ["Node node01 event: Removing Node node01 from Controller"]);
    await until(() => plane.messages("RegisteredNode"), ["Node node01 event: Registered Node node01 in Controller"]);
  });

  it("keeps no more ended pods than the threshold", async () => {
    await plane.startControllers({ terminatedPodThreshold: 2 });
    await plane.node("node01");
    for (const name of ["a", "b", "c"]) {
      await plane.pod(name, { nodeName: "node01" });
      const options = { type: "merge", subresource: "status" } as const;
      await plane.client.patch(resources.pods, name, "default", { status: { phase: "Succeeded" } }, options);
    }
    await until(async () => (await plane.client.list(resources.pods)).items.length, 2);
  });

  it("frees a deleted node's subnet, and says when there is none left", async () => {
    await plane.startControllers({
      podCidrs: ["10.244.0.0/23", "fd00:10:244::/63"],
      nodeCidrMaskSize: { ipv4: 24, ipv6: 64 },
    });
    for (const name of ["node01", "node02", "node03"]) await plane.node(name);
    const cidrs = async (name: string) => (await getNode(name)).spec?.podCIDRs;
    await until(() => cidrs("node01"), ["10.244.0.0/24", "fd00:10:244::/64"]);
    await until(() => cidrs("node02"), ["10.244.1.0/24", "fd00:10:244:1::/64"]);
    await until(() => plane.messages("CIDRNotAvailable"), ["Node node03 status is now: CIDRNotAvailable"]);
    await plane.client.delete(resources.nodes, "node01");
    await until(() => cidrs("node03"), ["10.244.0.0/24", "fd00:10:244::/64"]);
  });
});
