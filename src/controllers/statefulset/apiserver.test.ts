import { afterEach, describe, expect, it } from "vitest";
import { isNotFound, type KubeObject, type Pod, resources, type StatefulSet } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";

let cluster: InProcessCluster;
afterEach(() => cluster.stop());

const set = (replicas: number, more: Partial<StatefulSet["spec"]> = {}): StatefulSet => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    serviceName: "web",
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "one" }] } },
    ...more,
  },
});
const image = (name: string) => ({ spec: { template: { spec: { containers: [{ name: "c", image: name }] } } } });
const images = async () => (await cluster.all(resources.pods)).map(({ spec }) => spec.containers[0]?.image);
const status = async () => (await cluster.get(resources.statefulSets, "web")).status;

describe("StatefulSets with the API server", () => {
  it("come up in order, scale down from the end, and say so", async () => {
    cluster = await new InProcessCluster().start();
    const order: string[] = [];
    cluster.state = ({ metadata }) => {
      if (!order.includes(metadata.name)) order.push(metadata.name);
      return "ready";
    };
    await cluster.client.create(resources.statefulSets, set(3));
    await cluster.until(async () => (await status())?.availableReplicas, 3);
    expect(order).toEqual(["web-0", "web-1", "web-2"]);
    const pod = await cluster.get(resources.pods, "web-1");
    expect(pod.spec).toMatchObject({ hostname: "web-1", subdomain: "web" });
    await cluster.patch(resources.statefulSets, "web", { spec: { replicas: 1 } });
    await cluster.until(() => cluster.names(resources.pods), ["web-0"]);
    await cluster.until(async () => (await status())?.replicas, 1);
    await cluster.until(
      async () => new Set(await cluster.events("web")),
      new Set([
        "SuccessfulCreate: create Pod web-0 in StatefulSet web successful",
        "SuccessfulCreate: create Pod web-1 in StatefulSet web successful",
        "SuccessfulCreate: create Pod web-2 in StatefulSet web successful",
        "SuccessfulDelete: delete Pod web-2 in StatefulSet web successful",
        "SuccessfulDelete: delete Pod web-1 in StatefulSet web successful",
      ]),
    );
    expect(cluster.warnings()).toEqual([]);
  });

  it("roll out to the partition, then whole, and back by the revision's own patch", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.statefulSets, set(3));
    await cluster.until(async () => (await status())?.availableReplicas, 3);
    const first = (await status())?.currentRevision;
    const partition = (n: number) => ({ spec: { updateStrategy: { rollingUpdate: { partition: n } } } });
    await cluster.patch(resources.statefulSets, "web", partition(2));
    await cluster.patch(resources.statefulSets, "web", image("two"));
    await cluster.until(images, ["one", "one", "two"]);
    await cluster.until(async () => {
      const { currentRevision, updatedReplicas, currentReplicas, availableReplicas } = (await status()) ?? {};
      return [currentRevision, updatedReplicas, currentReplicas, availableReplicas];
    }, [first, 1, 2, 3]);
    // A pod below the partition comes back as it was.
    await cluster.client.delete(resources.pods, "web-0", "default", { gracePeriodSeconds: 0 });
    await cluster.until(images, ["one", "one", "two"]);
    await cluster.patch(resources.statefulSets, "web", partition(0));
    await cluster.until(images, ["two", "two", "two"]);
    await cluster.until(async () => (await status())?.currentRevision !== first, true);
    const revisions = await cluster.all(resources.controllerRevisions);
    expect(revisions.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    const old = revisions.find(({ metadata }) => metadata.name === first);
    await cluster.patch(resources.statefulSets, "web", old?.data ?? {}); // what kubectl rollout undo sends
    await cluster.until(images, ["one", "one", "one"]);
    await cluster.until(async () => (await status())?.currentRevision, first);
    expect((await cluster.all(resources.controllerRevisions)).map(({ revision }) => revision).sort()).toEqual([2, 3]);
  });

  it("leave pods alone on OnDelete, keep few revisions, and replace what failed", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(
      resources.statefulSets,
      set(2, { updateStrategy: { type: "OnDelete" }, podManagementPolicy: "Parallel", revisionHistoryLimit: 1 }),
    );
    await cluster.until(async () => (await status())?.availableReplicas, 2);
    for (const name of ["two", "three", "four"]) {
      const { metadata } = await cluster.patch(resources.statefulSets, "web", image(name));
      await cluster.until(async () => (await status())?.observedGeneration, metadata.generation);
    }
    expect(await images()).toEqual(["one", "one"]);
    // One in use by pods, the newest, and one of history.
    await cluster.until(async () => (await cluster.names(resources.controllerRevisions)).length, 3);
    cluster.state = ({ spec }) => (spec.containers[0]?.image === "one" ? "Failed" : "ready");
    const { uid } = (await cluster.get(resources.pods, "web-0")).metadata;
    await cluster.client.patch(
      resources.pods,
      "web-0",
      "default",
      { status: { phase: "Failed" } },
      { type: "merge", subresource: "status" },
    );
    await cluster.until(
      async () => (await cluster.all(resources.pods)).some(({ metadata }) => metadata.uid === uid),
      false,
    );
    await cluster.until(async () => (await images())[0], "four");
  });

  it("make claims that nothing binds: the pods wait with the scheduler's words; claims go as the policy says", async () => {
    cluster = await new InProcessCluster().start();
    const claim = {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    };
    const policy = { whenDeleted: "Delete", whenScaled: "Delete" } as const;
    await cluster.client.create(
      resources.statefulSets,
      set(2, {
        volumeClaimTemplates: [claim],
        podManagementPolicy: "Parallel",
        persistentVolumeClaimRetentionPolicy: policy,
      }),
    );
    await cluster.until(() => cluster.names(resources.persistentVolumeClaims), ["data-web-0", "data-web-1"]);
    const waits =
      "FailedScheduling: 0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    await cluster.until(() => cluster.events("web-0"), [waits]);
    await cluster.until(
      async () =>
        (await cluster.events("web")).includes(
          "SuccessfulCreate: create Claim data-web-0 Pod web-0 in StatefulSet web success",
        ),
      true,
    );
    expect((await status())?.availableReplicas).toBe(0); // Go writes this zero
    // Somebody plays the provisioner.
    for (const name of ["data-web-0", "data-web-1"]) {
      const volumeName = `pv-${name}`;
      await cluster.client.create(
        { group: "", version: "v1", plural: "persistentvolumes", kind: "PersistentVolume", namespaced: false },
        {
          metadata: { name: volumeName },
          spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, hostPath: { path: "/data" } },
        } as KubeObject,
      );
      const bound = { spec: { volumeName } };
      await cluster.client.patch(resources.persistentVolumeClaims, name, "default", bound, { type: "merge" });
    }
    await cluster.until(async () => (await status())?.availableReplicas, 2);
    await cluster.patch(resources.statefulSets, "web", { spec: { replicas: 1 } });
    await cluster.until(() => cluster.names(resources.persistentVolumeClaims), ["data-web-0"]);
    await cluster.client.delete(resources.statefulSets, "web", "default", { propagationPolicy: "Background" });
    await cluster.until(() => cluster.names(resources.persistentVolumeClaims), []);
    await cluster.until(() => cluster.names(resources.pods), []);
  });

  it("deleted with orphans and made again, take their pods and history back", async () => {
    cluster = await new InProcessCluster().start();
    await cluster.client.create(resources.statefulSets, set(2));
    await cluster.until(async () => (await status())?.availableReplicas, 2);
    const uids = async () => (await cluster.all<Pod>(resources.pods)).map(({ metadata }) => metadata.uid);
    const before = await uids();
    await cluster.client.delete(resources.statefulSets, "web", "default", { propagationPolicy: "Orphan" });
    await cluster.until(async () => isNotFound(await cluster.get(resources.statefulSets, "web").catch((e) => e)), true);
    expect(await uids()).toEqual(before);
    await cluster.client.create(resources.statefulSets, set(2));
    await cluster.until(async () => (await status())?.availableReplicas, 2);
    expect(await uids()).toEqual(before);
    expect(await cluster.names(resources.controllerRevisions)).toHaveLength(1);
  });
});
