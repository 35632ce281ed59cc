import { afterEach, describe, expect, it } from "vitest";
import { type DaemonSet, resources } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const template = (image: string) => ({
  metadata: { labels: { app: "agent" } },
  spec: { containers: [{ name: "c", image }] },
});
const agent = (more: Partial<DaemonSet["spec"]> = {}): DaemonSet => ({
  metadata: { name: "agent", namespace: "default" },
  spec: { selector: { matchLabels: { app: "agent" } }, template: template("one"), ...more },
});
const status = async () => (await cluster.get(resources.daemonSets, "agent")).status;
const images = async () => (await cluster.all(resources.pods)).map(({ spec }) => spec.containers[0]?.image).sort();
const nodesOf = async () => (await cluster.all(resources.pods)).map(({ spec }) => spec.nodeName).sort();

describe("DaemonSets with the API server", () => {
  it("run on every node that comes, are sent there by the scheduler, and go with the node's label", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.daemonSets, agent());
    await cluster.until(nodesOf, ["node01", "node02"]);
    await cluster.node("node03", { spec: { taints: [{ key: "special", effect: "NoSchedule" }] } });
    await cluster.node("node04");
    await cluster.until(nodesOf, ["node01", "node02", "node04"]);
    const [pod] = await cluster.all(resources.pods);
    expect(pod?.metadata.labels).toMatchObject({ app: "agent", "pod-template-generation": "1" });
    await cluster.until(
      () => cluster.events(pod?.metadata.name ?? ""),
      [expect.stringMatching(/^Scheduled: Successfully assigned default\/agent-\w{5} to node0\d$/)],
    );
    await cluster.until(async () => (await status())?.numberAvailable, 3);
    const selector = { spec: { template: { spec: { nodeSelector: { role: "edge" } } } } };
    await cluster.patch(resources.daemonSets, "agent", selector);
    await cluster.until(nodesOf, []);
    await cluster.patch(resources.nodes, "node02", { metadata: { labels: { role: "edge" } } });
    await cluster.until(nodesOf, ["node02"]);
  });

  it("roll out, keep revisions, and go back by the revision's own patch", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.daemonSets, agent());
    await cluster.until(async () => (await status())?.numberAvailable, 2);
    await cluster.patch(resources.daemonSets, "agent", { spec: { template: template("two") } });
    await cluster.until(images, ["two", "two"]);
    await cluster.until(
      async () => [(await status())?.updatedNumberScheduled, (await status())?.numberAvailable],
      [2, 2],
    );
    const revisions = await cluster.all(resources.controllerRevisions);
    expect(revisions.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    const first = revisions.find(({ revision }) => revision === 1);
    const hash = first?.metadata.labels?.["controller-revision-hash"];
    expect(first?.metadata.name).toBe(`agent-${hash}`);
    await cluster.patch(resources.daemonSets, "agent", first?.data ?? {});
    await cluster.until(images, ["one", "one"]);
    await cluster.until(
      async () => (await cluster.all(resources.controllerRevisions)).map(({ revision }) => revision).sort(),
      [2, 3],
    );
    const { annotations } = (await cluster.get(resources.daemonSets, "agent")).metadata;
    expect(annotations).toMatchObject({ "deprecated.daemonset.template.generation": "3" });
  });

  it("surge: there is a ready pod on each node at all times", async () => {
    cluster = await new InProcessCluster().start();
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 };
    await cluster.client.create(
      resources.daemonSets,
      agent({ updateStrategy: { type: "RollingUpdate", rollingUpdate } }),
    );
    await cluster.until(async () => (await status())?.numberAvailable, 2);
    const lowest = { ready: 2 };
    const watching = new AbortController();
    const version = (await cluster.client.list(resources.pods)).resourceVersion;
    const present = new Map((await cluster.all(resources.pods)).map((pod) => [pod.metadata.name, pod]));
    const watch = (async () => {
      const options = { resourceVersion: version, signal: watching.signal };
      for await (const { type, object } of cluster.client.watch(resources.pods, options)) {
        if (type === "BOOKMARK") continue;
        if (type === "DELETED" || object.metadata.deletionTimestamp) present.delete(object.metadata.name);
        else present.set(object.metadata.name, object);
        const ready = [...present.values()].filter(({ status: of }) =>
          of?.conditions?.some((one) => one.type === "Ready" && one.status === "True"),
        );
        lowest.ready = Math.min(lowest.ready, ready.length);
      }
    })().catch(() => {});
    await cluster.patch(resources.daemonSets, "agent", { spec: { template: template("two") } });
    await cluster.until(images, ["two", "two"]);
    watching.abort();
    await watch;
    expect(lowest.ready).toBe(2);
  });

  it("a pod that failed is deleted and made again, with an event", async () => {
    cluster = await new InProcessCluster().start(1);
    cluster.state = () => "Failed";
    await cluster.client.create(resources.daemonSets, agent());
    await cluster.until(
      async () => (await cluster.events("agent")).some((one) => one.startsWith("FailedDaemonPod: ")),
      true,
    );
    cluster.state = () => "ready";
    await cluster.until(async () => (await status())?.numberReady, 1);
    const said = (await cluster.events("agent")).filter((one) => one.startsWith("FailedDaemonPod"))[0];
    expect(said).toMatch(
      /^FailedDaemonPod: Found failed daemon pod default\/agent-\w{5} on node node01, will try to kill it$/,
    );
  });
});
