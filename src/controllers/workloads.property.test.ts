import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { type DaemonSet, type Deployment, isNotFound, type Pod, resources, type StatefulSet } from "#api/index.ts";
import { limits } from "./deployment/replicasets.ts";
import { isPodActive, isPodReady } from "./objects.ts";
import { InProcessCluster } from "./testing/cluster.ts";

let cluster: InProcessCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

const template = (app: string, image: string) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: "c", image }] },
});
const selector = (app: string) => ({ matchLabels: { app } });
const web = (replicas: number, strategy: Deployment["spec"]["strategy"] = {}): Deployment => ({
  metadata: { name: "web", namespace: "default" },
  spec: { replicas, strategy, selector: selector("web"), template: template("web", "v0") },
});
const db: StatefulSet = {
  metadata: { name: "db", namespace: "default" },
  spec: { replicas: 2, serviceName: "db", selector: selector("db"), template: template("db", "v0") },
};
const agent: DaemonSet = {
  metadata: { name: "agent", namespace: "default" },
  spec: { selector: selector("agent"), template: template("agent", "v0") },
};

/** What happens to a cluster: changes of what is wanted, and faults. */
type Step =
  | { readonly do: "scale"; readonly kind: "web" | "db"; readonly replicas: number }
  | { readonly do: "image"; readonly kind: "web" | "db" | "agent"; readonly image: string }
  | { readonly do: "pause"; readonly paused: boolean }
  | { readonly do: "fail" | "delete" | "lose node" | "delete set" | "restart"; readonly nth: number }
  | { readonly do: "wait"; readonly ms: number };

const nth = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("scale" as const), kind: fc.constantFrom("web", "db"), replicas: fc.nat({ max: 4 }) }),
  fc.record({
    do: fc.constant("image" as const),
    kind: fc.constantFrom("web", "db", "agent"),
    image: fc.constantFrom("v0", "v1", "v2"),
  }),
  fc.record({ do: fc.constant("pause" as const), paused: fc.boolean() }),
  fc.record({ do: fc.constantFrom("fail", "delete", "lose node", "delete set", "restart"), nth }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.nat({ max: 40 }) }),
);

/** Carries steps out and remembers what is wanted in the end. */
class Story {
  readonly #cluster: InProcessCluster;
  readonly replicas = { web: 3, db: 2 };
  readonly images = { web: "v0", db: "v0", agent: "v0" };
  #nodes = 2;

  constructor(of: InProcessCluster) {
    this.#cluster = of;
  }

  async take(one: Step): Promise<void> {
    const { client } = this.#cluster;
    const of = { web: resources.deployments, db: resources.statefulSets, agent: resources.daemonSets } as const;
    switch (one.do) {
      case "scale":
        this.replicas[one.kind] = one.replicas;
        await this.#cluster.patch(of[one.kind], one.kind, { spec: { replicas: one.replicas } });
        return;
      case "image":
        this.images[one.kind] = one.image;
        await this.#cluster.patch(of[one.kind], one.kind, { spec: { template: template(one.kind, one.image) } });
        return;
      case "pause":
        await this.#cluster.patch(resources.deployments, "web", { spec: { paused: one.paused } });
        return;
      case "wait":
        return await new Promise((done) => setTimeout(done, one.ms));
      case "restart":
        await this.#cluster.stopControllers();
        await this.#cluster.startControllers();
        return;
      case "lose node":
        return await this.#loseNode(one.nth);
      case "delete set": {
        const { items } = await client.list(resources.replicaSets);
        const name = items[one.nth % Math.max(1, items.length)]?.metadata.name;
        if (name) await client.delete(resources.replicaSets, name, "default").catch(gone);
        return;
      }
      default: {
        const { items } = await client.list(resources.pods);
        const name = items[one.nth % Math.max(1, items.length)]?.metadata.name;
        if (name && one.do === "delete") await client.delete(resources.pods, name, "default").catch(gone);
        if (name && one.do === "fail") await this.#fail(name).catch(gone);
      }
    }
  }

  /** The wanted pods: `app image` and, of the StatefulSet, the name. */
  async wanted(): Promise<string[]> {
    const { web: ofWeb, db: ofDb, agent: ofAgent } = this.images;
    const nodes = await this.#cluster.names(resources.nodes);
    return [
      ...nodes.map((node) => `agent ${ofAgent} ${node}`),
      ...Array.from({ length: this.replicas.db }, (_, i) => `db ${ofDb} db-${i}`),
      ...Array.from({ length: this.replicas.web }, () => `web ${ofWeb}`),
    ];
  }

  /** A node that vanishes with its pods, and another one that comes. */
  async #loseNode(n: number): Promise<void> {
    const { client } = this.#cluster;
    const nodes = await this.#cluster.names(resources.nodes);
    const lost = nodes[n % nodes.length] ?? "";
    await client.delete(resources.nodes, lost);
    const { items } = await client.list(resources.pods, { fieldSelector: `spec.nodeName=${lost}` });
    for (const { metadata } of items) {
      await client.delete(resources.pods, metadata.name, "default", { gracePeriodSeconds: 0 }).catch(gone);
    }
    await this.#cluster.node(`node0${++this.#nodes}`);
  }

  async #fail(name: string): Promise<void> {
    const options = { type: "merge", subresource: "status" } as const;
    await this.#cluster.client.patch(resources.pods, name, "default", { status: { phase: "Failed" } }, options);
  }
}

function gone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

/** Pods in the words of {@link Story.wanted}; those that do not serve, or are going, are marked. */
function told(pods: readonly Pod[]): string[] {
  return pods
    .map((pod) => {
      const { labels, name } = pod.metadata;
      const app = labels?.["app"] ?? "";
      const more = app === "db" ? ` ${name}` : app === "agent" ? ` ${pod.spec.nodeName}` : "";
      const serves = isPodReady(pod) && isPodActive(pod);
      return `${app} ${pod.spec.containers[0]?.image}${more}${serves ? "" : " (not serving)"}`;
    })
    .sort();
}

describe("workloads under random changes and faults", () => {
  it("come to what is wanted, with no pod too many", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        cluster = await new InProcessCluster().start(2);
        const { client } = cluster;
        await client.create(resources.deployments, web(3));
        await client.create(resources.statefulSets, db);
        await client.create(resources.daemonSets, agent);
        const story = new Story(cluster);
        for (const one of steps) await story.take(one);
        await cluster.patch(resources.deployments, "web", { spec: { paused: null } });
        const settled = cluster;
        // A Deployment's failed pods stay for people to look at, as upstream: they are no leak.
        const present = async () =>
          told((await settled.all(resources.pods)).filter((pod) => pod.status?.phase !== "Failed"));
        await cluster.until(present, (await story.wanted()).sort());
        await cluster.until(async () => {
          const { status } = await settled.get(resources.deployments, "web");
          return [status?.replicas ?? 0, status?.updatedReplicas ?? 0, status?.availableReplicas ?? 0];
        }, [story.replicas.web, story.replicas.web, story.replicas.web]);
        await cluster.stop();
        cluster = undefined;
      }),
      { seed: 36, numRuns: 8, endOnFailure: true },
    );
  }, 240_000);
});

/** Follows a Deployment's pods by a watch: the most there were, and the fewest that served once all had. */
class Bounds {
  highest = 0;
  lowest = Number.POSITIVE_INFINITY;
  /** From now on pods that do not serve count. */
  counting = false;
  readonly #pods = new Map<string, Pod>();
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor({ client }: InProcessCluster) {
    const options = { resourceVersion: "", sendInitialEvents: true, signal: this.#stop.signal };
    this.#watching = (async () => {
      for await (const { type, object } of client.watch(resources.pods, options)) {
        if (type === "BOOKMARK") continue;
        if (type === "DELETED") this.#pods.delete(object.metadata.name);
        else this.#pods.set(object.metadata.name, object);
        this.#look();
      }
    })().catch(() => {});
  }

  get serving(): number {
    return [...this.#pods.values()].filter((pod) => isPodActive(pod) && isPodReady(pod)).length;
  }

  #look(): void {
    this.highest = Math.max(this.highest, [...this.#pods.values()].filter(isPodActive).length);
    if (this.counting) this.lowest = Math.min(this.lowest, this.serving);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }
}

describe("rolling updates", () => {
  const amount = (max: number) =>
    fc.oneof(
      fc.nat({ max }),
      fc.nat({ max: 60 }).map((n) => `${n}%`),
    );
  const zero = (value: number | string) => Number.parseInt(String(value), 10) === 0;

  it("never go below what has to be available nor above what may exist, also when they overtake each other", async () => {
    const scenario = fc
      .record({
        replicas: fc.integer({ min: 1, max: 6 }),
        maxSurge: amount(3),
        maxUnavailable: amount(3),
        images: fc.array(fc.constantFrom("v1", "v2", "v3"), { minLength: 1, maxLength: 3 }),
        slowness: fc.integer({ min: 0, max: 30 }),
        restart: fc.boolean(),
      })
      .filter(({ maxSurge, maxUnavailable }) => !(zero(maxSurge) && zero(maxUnavailable)));
    await fc.assert(
      fc.asyncProperty(scenario, async ({ replicas, maxSurge, maxUnavailable, images, slowness, restart }) => {
        cluster = await new InProcessCluster().start(2);
        const wanted = web(replicas, { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } });
        const born = new Map<string, number>();
        cluster.state = ({ metadata: { name } }) => {
          const since = born.get(name) ?? Date.now();
          born.set(name, since);
          return Date.now() - since >= slowness * (name.charCodeAt(name.length - 1) % 3) ? "ready" : "unready";
        };
        const { surge, unavailable } = limits(wanted);
        await cluster.client.create(resources.deployments, wanted);
        const bounds = new Bounds(cluster);
        await cluster.until(async () => bounds.serving, replicas);
        bounds.counting = true;
        for (const image of images) {
          await cluster.patch(resources.deployments, "web", { spec: { template: template("web", image) } });
          await new Promise((done) => setTimeout(done, slowness));
          if (restart) {
            await cluster.stopControllers();
            await cluster.startControllers();
          }
        }
        const last = images.at(-1);
        const present = cluster;
        await cluster.until(
          async () => (await present.all(resources.pods)).map(({ spec }) => spec.containers[0]?.image),
          Array.from({ length: replicas }, () => last),
        );
        await bounds.end();
        expect(bounds.highest).toBeLessThanOrEqual(replicas + surge);
        expect(bounds.lowest).toBeGreaterThanOrEqual(replicas - unavailable);
        await cluster.stop();
        cluster = undefined;
      }),
      { seed: 7, numRuns: 12, endOnFailure: true },
    );
  }, 240_000);
});
