import { describe, expect, it } from "vitest";
import type { Node, Pod, PodSpec } from "#api/index.ts";
import { type NodeView, viewNode } from "./nodes.ts";
import { type Surroundings, schedule } from "./plan.ts";
import { requestsOf } from "./requests.ts";

function node(
  name: string,
  more: { labels?: Record<string, string>; spec?: Node["spec"]; ready?: boolean; cpu?: string; pods?: string } = {},
): Node {
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...more.labels } },
    spec: more.spec ?? {},
    status: {
      conditions: [{ type: "Ready", status: more.ready === false ? "False" : "True" }],
      allocatable: { cpu: more.cpu ?? "4", memory: "8Gi", pods: more.pods ?? "110" },
    },
  };
}

let count = 0;
function pod(spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}, owner?: string): Pod {
  const ownerReferences = owner
    ? [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: owner, uid: owner, controller: true }]
    : [];
  return {
    metadata: { name: `p${count++}`, namespace: "default", labels, ownerReferences },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}

function viewNodes(nodes: readonly Node[], pods: readonly Pod[]): NodeView[] {
  return nodes.map((node) =>
    viewNode(
      node,
      pods.filter(({ spec }) => spec.nodeName === node.metadata.name),
    ),
  );
}

const cpu = (amount: string): Partial<PodSpec> => ({
  containers: [{ name: "c", resources: { requests: { cpu: amount } } }],
});
const on = (name: string, one: Pod): Pod => ({ ...one, spec: { ...one.spec, nodeName: name } });
const place = (one: Pod, nodes: Node[], pods: Pod[] = [], around: Surroundings = {}) => {
  const decision = schedule(one, viewNodes(nodes, pods), around);
  // The order in which nodes and pods are known must not matter.
  expect(schedule(one, viewNodes([...nodes].reverse(), [...pods].reverse()), around)).toEqual(decision);
  return decision;
};

describe("scheduler plan", () => {
  it("has no place without nodes", () => {
    expect(place(pod(), []).message).toBe("no nodes available to schedule pods");
  });

  it("spreads replicas of one controller over the nodes", () => {
    const nodes = [node("n1"), node("n2"), node("n3")];
    const pods: Pod[] = [];
    for (let i = 0; i < 6; i++) {
      const next = pod({}, { app: "web" }, "rs");
      const siblings = { matchLabels: { app: "web" } };
      pods.push(on(place(next, nodes, pods, { siblings }).node ?? "", next));
    }
    expect(pods.map(({ spec }) => spec.nodeName)).toEqual(["n1", "n2", "n3", "n1", "n2", "n3"]);
  });

  it("explains in kube-scheduler's words, counted and sorted", () => {
    const nodes = [
      node("n1", { spec: { taints: [{ key: "a", value: "b", effect: "NoSchedule" }] } }),
      node("n2", { spec: { unschedulable: true } }),
      node("n3", { cpu: "1" }),
      node("n4", { ready: false }),
      node("n5", { cpu: "100m" }),
    ];
    const taken = [on("n3", pod(cpu("800m")))];
    expect(place(pod(cpu("500m")), nodes, taken).message).toBe(
      "0/5 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, " +
        "2 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/5 nodes are available: " +
        "1 No preemption victims found for incoming pod, 4 Preemption is not helpful for scheduling.",
    );
  });

  it("honours tolerations", () => {
    const nodes = [node("n1", { spec: { taints: [{ key: "a", value: "b", effect: "NoExecute" }] } })];
    const tolerant = (toleration: NonNullable<PodSpec["tolerations"]>[number]) =>
      place(pod({ tolerations: [toleration] }), nodes).node;
    expect(tolerant({ key: "a", operator: "Exists" })).toBe("n1");
    expect(tolerant({ key: "a", value: "b", effect: "NoExecute" })).toBe("n1");
    expect(tolerant({ operator: "Exists" })).toBe("n1");
    expect(tolerant({ key: "a", value: "c" })).toBeUndefined();
    expect(tolerant({ key: "a", operator: "Exists", effect: "NoSchedule" })).toBeUndefined();
  });

  it("honours nodeSelector and node affinity, required and preferred", () => {
    const nodes = [node("n1", { labels: { disk: "hdd" } }), node("n2", { labels: { disk: "ssd" } })];
    expect(place(pod({ nodeSelector: { disk: "ssd" } }), nodes).node).toBe("n2");
    expect(place(pod({ nodeSelector: { disk: "tape" } }), nodes).message).toContain(
      "2 node(s) didn't match Pod's node affinity/selector",
    );
    const term = { matchFields: [{ key: "metadata.name", operator: "In" as const, values: ["n2"] }] };
    const required = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } },
    };
    expect(place(pod({ affinity: required }), nodes).node).toBe("n2");
    const preference = { matchExpressions: [{ key: "disk", operator: "In" as const, values: ["ssd"] }] };
    const preferred = {
      nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 5, preference }] },
    };
    expect(place(pod({ affinity: preferred }), nodes).node).toBe("n2");
  });

  it("honours pod affinity and anti-affinity, also that of pods already there", () => {
    const nodes = [node("n1"), node("n2")];
    const term = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "db" } } };
    const near = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    const away = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
    const db = on("n2", pod({}, { app: "db" }));
    expect(place(pod({ affinity: near }), nodes, [db]).node).toBe("n2");
    expect(place(pod({ affinity: near }), nodes).message).toContain("2 node(s) didn't match pod affinity rules");
    expect(place(pod({ affinity: near }, { app: "db" }), nodes).node).toBe("n1");
    expect(place(pod({ affinity: away }), nodes, [db]).node).toBe("n1");
    const shy = on("n1", pod({ affinity: away }));
    expect(place(pod({}, { app: "db" }), nodes, [shy]).node).toBe("n2");
  });

  it("honours topology spread constraints", () => {
    const nodes = [
      node("n1", { labels: { zone: "a" } }),
      node("n2", { labels: { zone: "b" } }),
      node("n3", { labels: { zone: "b" } }),
    ];
    const constraint = { maxSkew: 1, topologyKey: "zone", labelSelector: { matchLabels: { app: "w" } } };
    const strict = { topologySpreadConstraints: [{ ...constraint, whenUnsatisfiable: "DoNotSchedule" as const }] };
    const there = [on("n1", pod({}, { app: "w" }))];
    expect(["n2", "n3"]).toContain(place(pod(strict, { app: "w" }), nodes, there).node);
    const full = [nodes[0] as Node, ...nodes.slice(1).map((one) => ({ ...one, spec: { unschedulable: true } }))];
    expect(place(pod(strict, { app: "w" }), full, there).message).toContain(
      "1 node(s) didn't match pod topology spread constraints",
    );
    const soft = { topologySpreadConstraints: [{ ...constraint, whenUnsatisfiable: "ScheduleAnyway" as const }] };
    expect(place(pod(soft, { app: "w" }), full, there).node).toBe("n1");
  });

  it("respects host ports and the number of pods", () => {
    const nodes = [node("n1", { pods: "1" }), node("n2")];
    const web = pod({ containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 80 }] }] });
    expect(place(web, nodes, [on("n2", web), on("n1", pod())]).message).toMatch(
      /1 Too many pods, 1 node\(s\) didn't have free ports for the requested pod ports/,
    );
  });

  it("adds requests up: containers, the biggest init container, sidecars, overhead", () => {
    const container = (amount: string, more = {}) => ({ name: "c", resources: { requests: { cpu: amount } }, ...more });
    const spec = {
      initContainers: [container("100m", { restartPolicy: "Always" }), container("900m")],
      containers: [container("200m"), container("300m")],
      overhead: { cpu: "10m" },
    };
    expect(requestsOf(pod(spec))).toEqual({ cpu: 1010 });
  });
});
