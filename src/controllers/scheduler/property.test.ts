import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Node, Pod, PodAffinityTerm, Taint, Toleration, TopologySpreadConstraint } from "#api/index.ts";
import { viewNode } from "./nodes.ts";
import { schedule } from "./plan.ts";
import { coresOf, mayGo } from "./testing/checker.ts";

const apps = ["web", "db"] as const;
const zones = ["a", "b", "c"] as const;
const keys = ["kubernetes.io/hostname", "zone"] as const;
/** Present one time in four: a pod with every kind of constraint goes nowhere. */
const maybe = <T>(arb: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: arb, weight: 1 }, { arbitrary: fc.constant(undefined), weight: 3 });

const taint: fc.Arbitrary<Taint> = fc.record({
  key: fc.constantFrom("x", "y"),
  value: fc.constantFrom("1", "2"),
  effect: fc.constantFrom("NoSchedule" as const, "NoExecute" as const, "PreferNoSchedule" as const),
});
const toleration: fc.Arbitrary<Toleration> = fc.oneof(
  fc.record({ key: fc.constantFrom("x", "y"), operator: fc.constant("Exists" as const) }),
  fc.record({
    key: fc.constantFrom("x", "y"),
    value: fc.constantFrom("1", "2"),
    effect: fc.constantFrom("NoSchedule" as const, "NoExecute" as const),
  }),
);
const nodeShape = fc.record({
  zone: maybe(fc.constantFrom(...zones)),
  disks: maybe(fc.integer({ min: 1, max: 3 })),
  cpu: fc.integer({ min: 1, max: 6 }),
  pods: fc.integer({ min: 1, max: 9 }),
  taints: maybe(taint).map((one) => (one ? [one] : [])),
  unschedulable: maybe(fc.constant(true)).map((yes) => yes === true),
});

function node(shape: typeof nodeShape extends fc.Arbitrary<infer T> ? T : never, n: number): Node {
  const name = `n${n}`;
  return {
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        ...(shape.zone === undefined ? {} : { zone: shape.zone }),
        ...(shape.disks === undefined ? {} : { disks: String(shape.disks) }),
      },
    },
    spec: { taints: shape.taints, unschedulable: shape.unschedulable },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      allocatable: { cpu: String(shape.cpu), memory: "8Gi", pods: String(shape.pods) },
    },
  };
}

const term: fc.Arbitrary<PodAffinityTerm> = fc.record(
  {
    topologyKey: fc.constantFrom(...keys),
    labelSelector: fc.constantFrom(...apps).map((app) => ({ matchLabels: { app } })),
    namespaces: fc.constantFrom(["one"], ["two"], ["one", "two"]),
  },
  { requiredKeys: ["topologyKey", "labelSelector"] },
);
const rules = maybe(
  fc.array(term, { minLength: 1, maxLength: 2 }).map((terms) => ({
    requiredDuringSchedulingIgnoredDuringExecution: terms,
  })),
);
const spread: fc.Arbitrary<TopologySpreadConstraint> = fc.record(
  {
    maxSkew: fc.integer({ min: 1, max: 2 }),
    topologyKey: fc.constantFrom(...keys),
    whenUnsatisfiable: fc.constantFrom("DoNotSchedule" as const, "ScheduleAnyway" as const),
    labelSelector: fc.constantFrom(...apps).map((app) => ({ matchLabels: { app } })),
    minDomains: fc.integer({ min: 1, max: 3 }),
    nodeTaintsPolicy: fc.constantFrom("Honor" as const, "Ignore" as const),
  },
  { requiredKeys: ["maxSkew", "topologyKey", "whenUnsatisfiable", "labelSelector"] },
);
const expression = fc.oneof(
  fc.record({
    key: fc.constant("disks"),
    operator: fc.constantFrom("Gt" as const, "Lt" as const),
    values: fc.constant(["2"]),
  }),
  fc.record({
    key: fc.constant("zone"),
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: fc.constantFrom(["a"], ["a", "b"]),
  }),
  fc.record({ key: fc.constant("disks"), operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const) }),
);
const podShape = fc.record({
  app: fc.constantFrom(...apps),
  namespace: fc.constantFrom("one", "two"),
  cpu: maybe(fc.integer({ min: 1, max: 2 })),
  hostPort: maybe(fc.constantFrom(80, 443)),
  tolerations: fc.array(toleration, { maxLength: 2 }),
  expressions: maybe(fc.array(expression, { minLength: 1, maxLength: 2 })),
  near: rules,
  away: rules,
  spread: maybe(fc.array(spread, { minLength: 1, maxLength: 2 })),
});

function pod(shape: typeof podShape extends fc.Arbitrary<infer T> ? T : never, n: number): Pod {
  const { cpu, hostPort, expressions } = shape;
  const nodeAffinity = expressions && {
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: expressions }] },
  };
  return {
    metadata: { name: `p${n}`, namespace: shape.namespace, labels: { app: shape.app } },
    spec: {
      containers: [
        {
          name: "c",
          ...(cpu === undefined ? {} : { resources: { requests: { cpu: String(cpu) } } }),
          ...(hostPort === undefined ? {} : { ports: [{ containerPort: 80, hostPort }] }),
        },
      ],
      tolerations: shape.tolerations,
      affinity: {
        ...(nodeAffinity ? { nodeAffinity } : {}),
        ...(shape.near ? { podAffinity: shape.near } : {}),
        ...(shape.away ? { podAntiAffinity: shape.away } : {}),
      },
      topologySpreadConstraints: shape.spread ?? [],
    },
  };
}

describe("scheduler against a checker that knows nothing of it", () => {
  it("places a pod exactly when some node may take it, on a node that may, and never overcommits", () => {
    const seen = { placed: 0, refused: 0 };
    fc.assert(
      fc.property(
        fc.array(nodeShape, { minLength: 1, maxLength: 6 }),
        fc.array(podShape, { minLength: 5, maxLength: 20 }),
        (nodeShapes, podShapes) => {
          const nodes = nodeShapes.map(node);
          const placed: Pod[] = [];
          for (const next of podShapes.map(pod)) {
            const views = nodes.map((one) =>
              viewNode(
                one,
                placed.filter(({ spec }) => spec.nodeName === one.metadata.name),
              ),
            );
            const allowed = nodes.filter((one) => mayGo(next, one, nodes, placed)).map(({ metadata }) => metadata.name);
            const decision = schedule(next, views);
            if (decision.node === undefined) {
              seen.refused++;
              expect(allowed, decision.message).toEqual([]);
            } else {
              seen.placed++;
              expect(allowed).toContain(decision.node);
              placed.push({ ...next, spec: { ...next.spec, nodeName: decision.node } });
            }
          }
          for (const one of nodes) {
            const { asked, there } = coresOf(one, placed);
            expect(asked).toBeLessThanOrEqual(there);
          }
        },
      ),
      { seed: 1, numRuns: 500 },
    );
    // Both outcomes were really met.
    expect(Math.min(seen.placed, seen.refused)).toBeGreaterThan(100);
  });
});
