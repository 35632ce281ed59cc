import { describe, expect, it } from "vitest";
import type { Node, Pod, PodSpec } from "#api/index.ts";
import { viewNode } from "./nodes.ts";
import { type Surroundings, schedule } from "./plan.ts";
import { siblingSelector } from "./siblings.ts";

const node = (name: string, labels: Record<string, string> = {}, spec: Node["spec"] = {}): Node => ({
  metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
  spec,
  status: {
    conditions: [{ type: "Ready", status: "True" }],
    allocatable: { cpu: "2", memory: "4Gi", pods: "110", "example.com/gpu": "1" },
  },
});
const pod = (spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}, namespace = "default"): Pod => ({
  metadata: { name: "p", namespace, uid: "u", labels },
  spec: { containers: [{ name: "c" }], ...spec },
});
const cpu = (amount: string): Partial<PodSpec> => ({
  containers: [{ name: "c", resources: { requests: { cpu: amount } } }],
});
const on = (name: string, one: Pod): Pod => ({ ...one, spec: { ...one.spec, nodeName: name } });
const place = (one: Pod, nodes: Node[], pods: Pod[] = [], around: Surroundings = {}) => {
  const views = nodes.map((each) =>
    viewNode(
      each,
      pods.filter(({ spec }) => spec.nodeName === each.metadata.name),
    ),
  );
  const { node: name, message } = schedule(one, views, around);
  return name ?? message;
};
const noHelp = (nodes: number) =>
  `no new claims to deallocate, preemption: 0/${nodes} nodes are available: ${nodes} Preemption is not helpful for scheduling.`;

describe("scheduler's sentences", () => {
  const nodes = [node("n1"), node("n2", {}, { taints: [{ key: "t", effect: "NoSchedule" }] }), node("n3")];

  it("are upstream's for the usual shortage", () => {
    const taken = ["n1", "n3"].map((name) => on(name, pod(cpu("1500m"))));
    expect(place(pod(cpu("1")), nodes, taken)).toBe(
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, " +
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, " +
        "2 No preemption victims found for incoming pod.",
    );
  });

  it("name nodes that a DaemonSet's pod does not mean", () => {
    const matchFields = [{ key: "metadata.name", operator: "In" as const, values: ["n1"] }];
    const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } };
    const one = pod({ ...cpu("1"), affinity: { nodeAffinity } });
    expect(place(one, nodes)).toBe("n1");
    expect(place(one, nodes, [on("n1", pod(cpu("2")))])).toBe(
      "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. " +
        "no new claims to deallocate, preemption: 0/3 nodes are available: " +
        "1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
    );
  });

  it("say what preemption would find", () => {
    const low = on("n1", pod({ ...cpu("2"), priority: 1 }));
    const one = (more: Partial<PodSpec>) =>
      place(pod({ ...cpu("2"), priority: 5, ...more }), [nodes[0] as Node], [low]);
    expect(one({ preemptionPolicy: "Never" })).toBe(
      "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.",
    );
    expect(one({})).toContain("1 Pods of lower priority could make room, but this scheduler does not preempt.");
    const busy = [low, on("n1", pod({ ...cpu("100m"), priority: 9 }))];
    expect(place(pod({ ...cpu("2"), priority: 5 }), [nodes[0] as Node], busy)).toContain(
      "preemption: 0/1 nodes are available: 1 Insufficient cpu.",
    );
  });

  it("count extended resources, and what no node has", () => {
    const gpu = (amount: string): Partial<PodSpec> => ({
      containers: [{ name: "c", resources: { requests: { "example.com/gpu": amount } } }],
    });
    expect(place(pod(gpu("1")), [nodes[0] as Node])).toBe("n1");
    expect(place(pod(gpu("2")), [nodes[0] as Node])).toBe(
      `0/1 nodes are available: 1 Insufficient example.com/gpu. ${noHelp(1)}`,
    );
  });
});

describe("scheduler: claims", () => {
  const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }];
  const around = (spec: object | undefined, affinity = {}): Surroundings => ({
    storage: {
      claim: () => spec && { metadata: { name: "data" }, spec },
      volume: (name) => (name === "pv" ? { metadata: { name }, spec: affinity } : undefined),
      bindsLate: (name) => name === "late",
    },
  });
  const only = [node("n1"), node("n2", { disk: "here" })];

  it("must be there and bound", () => {
    const message = (spec: object | undefined) => place(pod({ volumes }), only, [], around(spec));
    expect(message(undefined)).toBe(`0/2 nodes are available: persistentvolumeclaim "data" not found. ${noHelp(2)}`);
    expect(message({})).toBe(`0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. ${noHelp(2)}`);
    expect(message({ storageClassName: "late" })).toBe(
      `0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. ${noHelp(2)}`,
    );
    expect(message({ volumeName: "lost" })).toContain(
      'persistentvolumeclaim "data" bound to non-existent persistentvolume "lost"',
    );
  });

  it("lead the pod to where their volume is", () => {
    const terms = (value: string) => ({
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "In", values: [value] }] }] },
      },
    });
    expect(place(pod({ volumes }), only, [], around({ volumeName: "pv" }, terms("here")))).toBe("n2");
    expect(place(pod({ volumes }), only, [], around({ volumeName: "pv" }, terms("gone")))).toBe(
      `0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity. ${noHelp(2)}`,
    );
  });
});

describe("scheduler: other pods", () => {
  const nodes = [node("n1", { zone: "a" }), node("n2", { zone: "b" })];
  const term = { topologyKey: "zone", labelSelector: { matchLabels: { app: "db" } } };

  it("are found in the namespaces that a term selects", () => {
    const db = on("n2", pod({}, { app: "db" }, "data"));
    const near = (more: object) =>
      pod({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ ...term, ...more }] } } });
    const namespaceLabels = (name: string): Record<string, string> => (name === "data" ? { kind: "stores" } : {});
    expect(place(near({}), nodes, [db])).toContain("2 node(s) didn't match pod affinity rules");
    expect(place(near({ namespaces: ["data"] }), nodes, [db])).toBe("n2");
    const namespaceSelector = { matchLabels: { kind: "stores" } };
    expect(place(near({ namespaceSelector }), nodes, [db], { namespaceLabels })).toBe("n2");
    expect(place(near({ namespaceSelector: {} }), nodes, [db], { namespaceLabels })).toBe("n2");
  });

  it("count by the incoming pod's own labels with matchLabelKeys and mismatchLabelKeys", () => {
    const old = on("n1", pod({}, { app: "db", version: "1" }));
    const away = (more: object) => ({
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ ...term, ...more }] } },
    });
    const fresh = { app: "db", version: "2" };
    expect(place(pod(away({}), fresh), [nodes[0] as Node], [old])).toContain("didn't match pod anti-affinity rules");
    expect(place(pod(away({ matchLabelKeys: ["version"] }), fresh), [nodes[0] as Node], [old])).toBe("n1");
    expect(place(pod(away({ mismatchLabelKeys: ["version"] }), fresh), [nodes[0] as Node], [old])).toContain(
      "didn't match pod anti-affinity rules",
    );
  });

  it("weigh as wishes: near, away, and what running pods wish", () => {
    const db = on("n2", pod({}, { app: "db" }));
    const wish = (kind: "podAffinity" | "podAntiAffinity"): Partial<PodSpec> => ({
      affinity: {
        [kind]: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 50, podAffinityTerm: term }] },
      },
    });
    expect(place(pod(wish("podAffinity")), nodes, [db])).toBe("n2");
    expect(place(pod(wish("podAntiAffinity")), nodes, [db])).toBe("n1");
    // n1 is the emptier node; the running pod's wish draws the newcomer to n2 all the same.
    expect(place(pod({}, { app: "db" }), nodes, [on("n2", pod(wish("podAffinity")))])).toBe("n2");
  });
});

describe("scheduler: topology spread", () => {
  const tainted = { taints: [{ key: "t", effect: "NoSchedule" as const }] };
  const nodes = [node("n1", { zone: "a" }), node("n2", { zone: "b" }, tainted)];
  const spread = (more: object): Partial<PodSpec> => ({
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "w" } },
        ...more,
      },
    ],
  });
  const there = [on("n1", pod({}, { app: "w" }))];
  const skewed = "1 node(s) didn't match pod topology spread constraints";

  it("counts tainted nodes unless told to honour taints", () => {
    expect(place(pod(spread({}), { app: "w" }), nodes, there)).toContain(skewed);
    expect(place(pod(spread({ nodeTaintsPolicy: "Honor" }), { app: "w" }), nodes, there)).toBe("n1");
  });

  it("counts nodes that the pod does not select when told to ignore affinity", () => {
    const chosen = { nodeSelector: { zone: "a" } };
    expect(place(pod({ ...spread({}), ...chosen }, { app: "w" }), nodes, there)).toBe("n1");
    expect(
      place(pod({ ...spread({ nodeAffinityPolicy: "Ignore" }), ...chosen }, { app: "w" }), nodes, there),
    ).toContain(skewed);
  });

  it("takes the fewest for none while there are fewer domains than minDomains", () => {
    const one = [nodes[0] as Node];
    expect(place(pod(spread({}), { app: "w" }), one, there)).toBe("n1");
    expect(place(pod(spread({ minDomains: 2 }), { app: "w" }), one, there)).toContain(skewed);
  });

  it("counts revisions apart with matchLabelKeys", () => {
    const one = pod(spread({ matchLabelKeys: ["rev"] }), { app: "w", rev: "2" });
    expect(place(one, nodes, there)).toBe("n1");
  });

  it("says which label is missing, and that no preemption helps there", () => {
    expect(place(pod(spread({ topologyKey: "rack" }), { app: "w" }), [nodes[0] as Node])).toBe(
      `0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label). ${noHelp(1)}`,
    );
  });

  it("has defaults for pods of a Service or a controller", () => {
    const service = { metadata: { name: "s" }, spec: { selector: { app: "w" } } };
    expect(siblingSelector(pod({}, { app: "w" }), [service], undefined)).toEqual({ matchLabels: { app: "w" } });
    expect(siblingSelector(pod({}, { app: "x" }), [service], undefined)).toBeUndefined();
    expect(siblingSelector(pod({}, { app: "x" }), [service], { matchLabels: { app: "x" } })).toEqual({
      matchLabels: { app: "x" },
    });
    const free = [node("n1", { zone: "a" }), node("n2", { zone: "b" })];
    expect(place(pod({}, { app: "w" }), free, there, { siblings: { matchLabels: { app: "w" } } })).toBe("n2");
  });
});
