import { afterEach, describe, expect, it } from "vitest";
import {
  type Deployment,
  type DeploymentSpec,
  isNotFound,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  resources,
} from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const template = (image: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image }] },
});
const web = (more: Partial<DeploymentSpec> = {}): Deployment => ({
  metadata: { name: "web", namespace: "default" },
  spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template: template("one"), ...more },
});
const get = () => cluster.get(resources.deployments, "web");
const rolledOut = async (image: string) => {
  const { metadata, spec, status } = await get();
  const pods = await cluster.all(resources.pods);
  const { observedGeneration, updatedReplicas, replicas, availableReplicas } = status ?? {};
  const whole = updatedReplicas === spec.replicas && replicas === spec.replicas && availableReplicas === replicas;
  return (
    observedGeneration === metadata.generation && whole && pods.every((pod) => pod.spec.containers[0]?.image === image)
  );
};
async function roll(image: string, cause: string): Promise<void> {
  await cluster.patch(resources.deployments, "web", { spec: { template: template(image) } });
  await cluster.patch(resources.deployments, "web", {
    metadata: { annotations: { "kubernetes.io/change-cause": cause } },
  });
  await cluster.until(() => rolledOut(image), true);
}
/** What kubectl rollout history shows: revisions with their cause. */
async function history(): Promise<Record<string, string | undefined>> {
  const sets = await cluster.all(resources.replicaSets);
  return Object.fromEntries(
    sets.map(({ metadata: { annotations: notes = {} } }) => [
      notes["deployment.kubernetes.io/revision"],
      notes["kubernetes.io/change-cause"],
    ]),
  );
}

describe("Deployments with the API server", () => {
  it("keep a history with causes, go back in it, and forget the oldest", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.deployments, web({ revisionHistoryLimit: 2 }));
    await cluster.until(() => rolledOut("one"), true);
    await roll("two", "second");
    await roll("three", "third");
    await cluster.until(history, { 1: undefined, 2: "second", 3: "third" });
    await roll("two", "second"); // as rollout undo does: template and cause of the revision
    await cluster.until(history, { 1: undefined, 3: "third", 4: "second" });
    expect((await get()).metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("4");
    await roll("four", "fourth");
    await cluster.until(history, { 3: "third", 4: "second", 5: "fourth" });
  });

  it("Recreate: no new pod before the last old one is gone", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.deployments, web({ strategy: { type: "Recreate" } }));
    await cluster.until(() => rolledOut("one"), true);
    const mixed: string[] = [];
    cluster.state = ({ spec }) => {
      mixed.push(spec.containers[0]?.image ?? "");
      return "ready";
    };
    await cluster.patch(resources.deployments, "web", { spec: { template: template("two") } });
    await cluster.until(() => rolledOut("two"), true);
    expect(mixed.lastIndexOf("one")).toBeLessThan(mixed.indexOf("two"));
  });

  it("paused: collect changes and roll them out once when resumed", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.deployments, web());
    await cluster.until(() => rolledOut("one"), true);
    await cluster.patch(resources.deployments, "web", { spec: { paused: true } });
    await cluster.patch(resources.deployments, "web", { spec: { template: template("two") } });
    const reason = async () => (await get()).status?.conditions?.find(({ type }) => type === "Progressing")?.reason;
    await cluster.until(reason, "DeploymentPaused");
    await cluster.patch(resources.deployments, "web", { spec: { template: template("three") } });
    await cluster.patch(resources.deployments, "web", { spec: { paused: null } });
    await cluster.until(() => rolledOut("three"), true);
    expect(await cluster.names(resources.replicaSets)).toHaveLength(2);
    await cluster.until(reason, "NewReplicaSetAvailable");
  });

  it("orphaned ReplicaSets run on and are taken back; one whose labels no longer match is let go", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.deployments, web());
    await cluster.until(() => rolledOut("one"), true);
    const uids = async () => (await cluster.all<Pod>(resources.pods)).map(({ metadata }) => metadata.uid);
    const before = await uids();
    await cluster.client.delete(resources.deployments, "web", "default", { propagationPolicy: "Orphan" });
    await cluster.until(async () => isNotFound(await get().catch((error) => error)), true);
    const owners = async () =>
      (await cluster.all<ReplicaSet>(resources.replicaSets)).map(({ metadata }) => metadata.ownerReferences?.[0]?.name);
    expect(await owners()).toEqual([undefined]);
    await cluster.client.create(resources.deployments, web());
    await cluster.until(owners, ["web"]);
    await cluster.until(() => rolledOut("one"), true);
    expect(await uids()).toEqual(before);
    const [name = ""] = await cluster.names(resources.replicaSets);
    await cluster.patch(resources.replicaSets, name, { metadata: { labels: { app: "other" } } });
    await cluster.until(async () => (await owners()).sort(), ["web", undefined]);
  });

  it("says what keeps its pods from being created", async () => {
    cluster = await new InProcessCluster().start();
    const { metadata, spec } = template("one");
    const nobody = { metadata, spec: { ...spec, serviceAccountName: "nobody" } };
    await cluster.client.create(resources.deployments, web({ replicas: 1, template: nobody }));
    const failure = async () => (await get()).status?.conditions?.find(({ type }) => type === "ReplicaFailure");
    await cluster.until(
      failure,
      expect.objectContaining({
        status: "True",
        reason: "FailedCreate",
        message: expect.stringContaining('serviceaccount "nobody" not found'),
      }),
    );
    await cluster.client.create(resources.serviceAccounts, { metadata: { name: "nobody", namespace: "default" } });
    await cluster.until(async () => (await get()).status?.availableReplicas, 1);
    await cluster.until(failure, undefined);
  });

  it("a taken name of a ReplicaSet makes another hash", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.deployments, web({ replicas: 1 }));
    await cluster.until(() => rolledOut("one"), true);
    const [first] = await cluster.all(resources.replicaSets);
    // Somebody else's ReplicaSet of that very name, after the Deployment's own is gone.
    await cluster.stopControllers();
    const name = first?.metadata.name ?? "";
    await cluster.client.delete(resources.replicaSets, name, "default", { propagationPolicy: "Orphan" });
    await cluster.patch(resources.replicaSets, name, { metadata: { finalizers: null } });
    const other = { app: "other" };
    await cluster.client.create(resources.replicaSets, {
      metadata: { name, namespace: "default" },
      spec: {
        replicas: 0,
        selector: { matchLabels: other },
        template: { ...template("x"), metadata: { labels: other } },
      },
    });
    await cluster.startControllers();
    await cluster.until(async () => (await get()).status?.collisionCount, 1);
    await cluster.until(async () => (await cluster.names(resources.replicaSets)).length, 2);
    await cluster.until(() => rolledOut("one"), true);
  });
});

describe("ReplicationControllers with the API server", () => {
  it("keep their number of pods, take orphans, and say so", async () => {
    cluster = await new InProcessCluster().start();
    const rc: ReplicationController = {
      metadata: { name: "old", namespace: "default" },
      spec: { replicas: 2, selector: { app: "web" }, template: template("one") },
    };
    await cluster.client.create(resources.pods, {
      ...template("one"),
      metadata: { name: "bare", namespace: "default", labels: { app: "web" } },
    });
    await cluster.client.create(resources.replicationControllers, rc);
    const status = async () => (await cluster.get(resources.replicationControllers, "old")).status;
    await cluster.until(async () => [(await status())?.replicas, (await status())?.readyReplicas], [2, 2]);
    const pods = await cluster.all(resources.pods);
    expect(pods.map(({ metadata }) => metadata.ownerReferences?.[0])).toMatchObject([
      { apiVersion: "v1", kind: "ReplicationController", name: "old" },
      { apiVersion: "v1", kind: "ReplicationController", name: "old" },
    ]);
    expect(pods.map(({ metadata }) => metadata.name)).toContain("bare");
    await cluster.patch(resources.replicationControllers, "old", { spec: { replicas: 0 } });
    await cluster.until(() => cluster.names(resources.pods), []);
    await cluster.until(
      async () => (await cluster.events("old")).filter((one) => one.startsWith("SuccessfulDelete")).length,
      2,
    );
    expect(await cluster.events("old")).not.toContainEqual(expect.stringContaining("NoController"));
  });
});
