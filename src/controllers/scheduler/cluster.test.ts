import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type KubeObject, keyOf, type Node, ObjectCache, type Pod } from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { ClusterView } from "./cluster.ts";
import { type NodeView, viewNode } from "./nodes.ts";

const NODES = ["n1", "n2"] as const;

const what = fc.constantFrom("decide", "bind", "fail", "status", "label", "end", "mark", "remove", "look");
const step = fc.record({ what, pod: fc.integer({ min: 0, max: 4 }), node: fc.constantFrom(...NODES) });

const node = (name: string): Node => ({
  metadata: { name, resourceVersion: "1" },
  status: { conditions: [{ type: "Ready", status: "True" }], allocatable: { cpu: "8" } },
});

/** What decisions are made by, with pods in an order of their own. */
function summary({ name, requested, scored, pods, withTerms }: NodeView): unknown {
  const shown = pods.map(({ pod, labels, terminating }) => [keyOf(pod), labels, terminating]);
  return {
    name,
    requested,
    scored,
    pods: shown.sort((a, b) => (`${a[0]}` < `${b[0]}` ? -1 : 1)),
    terms: withTerms.length,
  };
}

/** A cache of pods with a view on it, and what is true of each pod: on which node, decided or written. */
class Bench {
  readonly pods = new ObjectCache<Pod>();
  readonly nodes = new ObjectCache<Node>();
  readonly decided = new Map<string, { readonly pod: Pod; readonly node: string }>();
  readonly view: ClusterView;
  #version = 1;

  constructor() {
    const caches: Record<string, ObjectCache<KubeObject>> = {
      pods: this.pods as unknown as ObjectCache<KubeObject>,
      nodes: this.nodes as unknown as ObjectCache<KubeObject>,
    };
    const informer = ({ plural }: { plural: string }) => caches[plural] ?? new ObjectCache<KubeObject>();
    this.view = new ClusterView({ informer } as unknown as ControllerContext, () => false);
    for (const name of NODES) this.nodes.apply("ADDED", node(name));
  }

  get(i: number): Pod {
    const known = this.pods.get(`default/p${i}`);
    if (known) return known;
    const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "zone" }] } };
    return this.write({
      metadata: { name: `p${i}`, namespace: "default", uid: `u${i}.${this.#version}` },
      spec: {
        containers: [{ name: "c", image: "nginx", resources: { requests: { cpu: `${i + 1}00m` } } }],
        ...(i === 3 ? { affinity } : {}),
      },
    });
  }

  /** As the watch brings it; the scheduler hears of pods with a node. */
  write(pod: Pod, type: "MODIFIED" | "DELETED" = "MODIFIED"): Pod {
    const object = { ...pod, metadata: { ...pod.metadata, resourceVersion: String(++this.#version) } };
    for (const change of this.pods.apply(type, object)) if (change.object.spec.nodeName) this.view.see(change);
    return object;
  }

  /** Views made of nothing but what is true. */
  expected(): unknown[] {
    return NODES.map((name) => {
      const written = this.pods.list().filter(({ spec }) => spec.nodeName === name);
      const assumed = [...this.decided.values()].filter((one) => one.node === name).map(({ pod }) => pod);
      return summary(viewNode(node(name), [...written, ...assumed]));
    });
  }
}

const steps: Record<string, (bench: Bench, i: number, node: string) => void> = {
  decide(bench, i, on) {
    const pod = bench.get(i);
    const key = keyOf(pod);
    if (pod.spec.nodeName || bench.decided.has(key)) return;
    bench.view.assume(key, pod, on);
    bench.decided.set(key, { pod, node: on });
  },
  bind(bench, i) {
    const pod = bench.get(i);
    const found = bench.decided.get(keyOf(pod));
    if (!found) return;
    bench.decided.delete(keyOf(pod));
    bench.write({ ...pod, spec: { ...pod.spec, nodeName: found.node } });
  },
  fail(bench, i) {
    const key = `default/p${i}`;
    bench.decided.delete(key);
    bench.view.forget(key);
  },
  status: (bench, i) => change(bench, i, (pod) => ({ ...pod, status: { ...pod.status, phase: "Running" } })),
  label: (bench, i) =>
    change(bench, i, ({ metadata, ...pod }) => ({ ...pod, metadata: { ...metadata, labels: { a: "b" } } })),
  end: (bench, i) => change(bench, i, (pod) => ({ ...pod, status: { ...pod.status, phase: "Succeeded" } })),
  mark(bench, i) {
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    change(bench, i, ({ metadata, ...pod }) => ({ ...pod, metadata: { ...metadata, deletionTimestamp } }));
  },
  remove(bench, i) {
    const pod = bench.pods.get(`default/p${i}`);
    if (pod?.spec.nodeName) bench.write(pod, "DELETED");
  },
  look: (bench) => void bench.view.nodes(),
};

/** A change of a pod that has a node; what has ended stays so. */
function change(bench: Bench, i: number, to: (pod: Pod) => Pod): void {
  const pod = bench.pods.get(`default/p${i}`);
  if (pod?.spec.nodeName && pod.status?.phase !== "Succeeded") bench.write(to(pod));
}

describe("the scheduler's view of the cluster", () => {
  it("is what a fresh look would be, whatever has happened", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (list) => {
        const bench = new Bench();
        for (const { what: name, pod, node: on } of list) {
          steps[name]?.(bench, pod, on);
          // Only a look makes views, and looks come seldom here: what is kept has to hold in between.
          if (name === "look") expect(bench.view.nodes().map(summary)).toEqual(bench.expected());
        }
        expect(bench.view.nodes().map(summary)).toEqual(bench.expected());
      }),
    );
  });

  it("counts a decision, and once only when it is written", () => {
    const bench = new Bench();
    bench.view.nodes();
    for (const name of ["decide", "bind", "status"]) {
      steps[name]?.(bench, 1, "n2");
      expect(
        bench.view.nodes().map(({ requested }) => requested["cpu"] ?? 0),
        name,
      ).toEqual([0, 200]);
    }
  });
});
