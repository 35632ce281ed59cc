import { afterEach, describe, expect, it } from "vitest";
import {
  Client,
  type Deployment,
  type EndpointSlice,
  type Endpoints,
  type Event,
  type KubeObject,
  type Namespace,
  type Node,
  type Pod,
  type ReplicaSet,
  resources,
  type Service,
} from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { type ControllerOptions, type Controllers, startControllers } from "./index.ts";

const options: ControllerOptions = {
  podCidrs: ["10.244.0.0/16"],
  nodeOrder: ["controlplane", "node01", "node02"],
  clusterCaPem: "CA",
  serviceCidrs: ["10.96.0.0/12"],
  apiAddress: { host: "192.168.1.10", port: 6443 },
};
const lines: string[] = [];
const log = createLogger("test", { write: (line) => lines.push(line) });
const running: Controllers[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((controllers) => controllers.stop()));
});

class Cluster {
  readonly api = new FakeApi();
  readonly client = new Client(this.api);

  async start(): Promise<Controllers> {
    const controllers = await startControllers({ client: this.client, log, options });
    running.push(controllers);
    return controllers;
  }

  all<T extends KubeObject>(of: { group: string; version: string; plural: string }): T[] {
    return this.api.all<T>(`${of.group ? `/apis/${of.group}` : "/api"}/${of.version}/${of.plural}`);
  }

  pods = () => this.all<Pod>(resources.pods);
  replicaSets = () => this.all<ReplicaSet>(resources.replicaSets);
  slices = (service: string) =>
    this.all<EndpointSlice>(resources.endpointSlices).filter(
      ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service,
    );

  async node(name: string, taints: { key: string; effect: "NoSchedule" }[] = []): Promise<void> {
    await this.client.create(resources.nodes, {
      metadata: { name, labels: { "kubernetes.io/hostname": name } },
      spec: { taints },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        allocatable: { cpu: "4", memory: "8Gi", pods: "110" },
      },
    });
  }

  async deployment(name: string, replicas: number, image = "podwire/echo"): Promise<void> {
    await this.client.create(resources.deployments, {
      metadata: { name, namespace: "default" },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        template: { metadata: { labels: { app: name } }, spec: { containers: [{ name, image }] } },
      },
    });
  }

  async service(name: string, more: Partial<Service["spec"]> = {}): Promise<void> {
    const spec = { selector: { app: name }, clusterIP: "10.96.0.50", ports: [{ port: 80, targetPort: 8080 }], ...more };
    await this.client.create(resources.services, { metadata: { name, namespace: "default" }, spec });
  }

  /** Plays the kubelets: bound pods run and are ready, pods being deleted vanish. */
  kubelets(ready: (pod: Pod) => boolean = () => true): () => void {
    const timer = setInterval(() => {
      for (const [n, pod] of this.pods().entries()) {
        if (pod.metadata.deletionTimestamp && pod.spec.nodeName) {
          const { name, namespace } = pod.metadata;
          this.client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 }).catch(() => {});
          continue;
        }
        if (!pod.spec.nodeName || pod.status?.phase === "Running" || !ready(pod)) continue;
        const { name, namespace } = pod.metadata;
        const podIP = `10.244.1.${10 + n}`;
        const conditions = [{ type: "Ready", status: "True" as const, lastTransitionTime: new Date().toISOString() }];
        const status = { phase: "Running" as const, podIP, podIPs: [{ ip: podIP }], conditions };
        this.client
          .patch(resources.pods, name, namespace, { status }, { type: "merge", subresource: "status" })
          .catch(() => {});
      }
    }, 1);
    return () => clearInterval(timer);
  }
}

const until = (what: () => unknown, expected: unknown) =>
  expect.poll(what, { interval: 2, timeout: 15_000 }).toEqual(expected);

describe("controllers together", () => {
  it("makes the system's objects, accounts and node subnets", async () => {
    const cluster = new Cluster();
    await cluster.node("node02");
    await cluster.node("controlplane");
    await cluster.start();
    await until(
      () => cluster.all<Namespace>(resources.namespaces).map(({ metadata }) => metadata.name),
      ["default", "kube-node-lease", "kube-public", "kube-system"],
    );
    await until(() => cluster.all(resources.serviceAccounts).length, 4);
    await until(() => cluster.all(resources.configMaps).length, 4);
    await cluster.node("node01");
    await until(
      () => cluster.all<Node>(resources.nodes).map(({ spec }) => spec?.podCIDR),
      ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"],
    );
    await until(() => cluster.all<Service>(resources.services).map(({ spec }) => spec.clusterIP), ["10.96.0.1"]);
    expect(cluster.all<Endpoints>(resources.endpoints)[0]?.subsets).toEqual([
      { addresses: [{ ip: "192.168.1.10" }], ports: [{ name: "https", port: 6443, protocol: "TCP" }] },
    ]);
    await cluster.client.delete(resources.serviceAccounts, "default", "kube-public");
    await until(() => cluster.all(resources.serviceAccounts).length, 4);
  });

  it("V03 (part: endpoints follow pods): from a Deployment to ready endpoints on different workers", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("controlplane", [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }]);
    await cluster.node("node01");
    await cluster.node("node02");
    const stop = cluster.kubelets();
    await cluster.service("web");
    await cluster.deployment("web", 2);
    await until(() => cluster.slices("web")[0]?.endpoints.length, 2);
    await until(() => cluster.slices("web")[0]?.endpoints.every(({ conditions }) => conditions?.ready), true);
    expect(new Set(cluster.pods().map(({ spec }) => spec.nodeName))).toEqual(new Set(["node01", "node02"]));
    await until(
      () =>
        cluster.all<Endpoints>(resources.endpoints).find(({ metadata }) => metadata.name === "web")?.subsets?.[0]
          ?.addresses?.length,
      2,
    );
    await cluster.client.delete(resources.services, "web", "default");
    await until(() => cluster.slices("web").length, 0);
    stop();
  });

  it("V03 (part: mirroring): Endpoints written by hand become EndpointSlices and go with them", async () => {
    const cluster = new Cluster();
    await cluster.start();
    const metadata = { name: "outside", namespace: "default" };
    await cluster.client.create(resources.services, { metadata, spec: { ports: [{ port: 80 }] } });
    const subsets = [
      {
        addresses: [{ ip: "192.0.2.7" }, { ip: "2001:db8::7" }],
        notReadyAddresses: [{ ip: "192.0.2.8" }],
        ports: [{ port: 80 }],
      },
    ];
    await cluster.client.create(resources.endpoints, { metadata, subsets });
    const shape = () =>
      cluster
        .slices("outside")
        .map(({ addressType, endpoints }) => [
          addressType,
          ...endpoints.map(({ addresses, conditions }) => `${addresses[0]} ${conditions?.ready}`),
        ]);
    await until(
      () => shape().sort(),
      [
        ["IPv4", "192.0.2.7 true", "192.0.2.8 false"],
        ["IPv6", "2001:db8::7 true"],
      ],
    );
    await cluster.client.delete(resources.endpoints, "outside", "default");
    await until(shape, []);
  });

  it("creates exactly the wanted pods, scales both ways and rolls out a new template", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("node01");
    const stop = cluster.kubelets();
    await cluster.deployment("web", 5);
    const deployment = () => cluster.all<Deployment>(resources.deployments)[0];
    await until(() => deployment()?.status?.availableReplicas, 5);
    expect(cluster.pods()).toHaveLength(5);
    const change = (spec: object) =>
      cluster.client.patch(resources.deployments, "web", "default", { spec }, { type: "merge" });
    await change({ replicas: 2 });
    await until(() => deployment()?.status?.replicas, 2);
    const containers = [{ name: "web", image: "nginx" }];
    await change({ template: { spec: { containers } } });
    await until(() => deployment()?.status?.updatedReplicas, 2);
    await until(() => cluster.pods().map(({ spec }) => spec.containers[0]?.image), ["nginx", "nginx"]);
    await until(
      () => deployment()?.status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
      [
        ["Available", "True", "MinimumReplicasAvailable"],
        ["Progressing", "True", "NewReplicaSetAvailable"],
      ],
    );
    expect(deployment()?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("2");
    expect(
      cluster
        .replicaSets()
        .map(({ spec }) => spec.replicas)
        .sort(),
    ).toEqual([0, 2]);
    // Back to the first template: its ReplicaSet comes to life again with a new revision.
    await change({ template: { spec: { containers: [{ name: "web", image: "podwire/echo" }] } } });
    await until(() => cluster.pods().map(({ spec }) => spec.containers[0]?.image), ["podwire/echo", "podwire/echo"]);
    expect(cluster.replicaSets()).toHaveLength(2);
    await until(() => deployment()?.metadata.annotations?.["deployment.kubernetes.io/revision"], "3");
    stop();
  });

  it("collects ReplicaSets and pods of a deleted Deployment", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("node01");
    await cluster.deployment("web", 3);
    await until(() => cluster.pods().length, 3);
    const stop = cluster.kubelets();
    await cluster.client.delete(resources.deployments, "web", "default", { propagationPolicy: "Background" });
    await until(() => [cluster.replicaSets().length, cluster.pods().length], [0, 0]);
    stop();
  });

  it("empties a namespace that is deleted and lets it go", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.client.create(resources.namespaces, {
      metadata: { name: "gone" },
      spec: { finalizers: ["kubernetes"] },
    });
    await until(
      () => cluster.all(resources.serviceAccounts).filter(({ metadata }) => metadata.namespace === "gone").length,
      1,
    );
    await cluster.client.create(resources.secrets, { metadata: { name: "s", namespace: "gone", finalizers: ["x/y"] } });
    await cluster.client.delete(resources.namespaces, "gone");
    await until(
      () =>
        cluster
          .all<Namespace>(resources.namespaces)
          .find(({ metadata }) => metadata.name === "gone")
          ?.status?.conditions?.map(({ message }) => message),
      [
        "All resources successfully discovered",
        "All legacy kube types successfully parsed",
        "All content successfully deleted, may be waiting on finalization",
        "Some resources are remaining: secrets. has 1 resource instances",
        "Some content in the namespace has finalizers remaining: x/y in 1 resource instances",
      ],
    );
    await cluster.client.patch(resources.secrets, "s", "gone", { metadata: { finalizers: null } }, { type: "merge" });
    await until(() => cluster.all(resources.namespaces).some(({ metadata }) => metadata.name === "gone"), false);
    expect(cluster.all(resources.configMaps).filter(({ metadata }) => metadata.namespace === "gone")).toEqual([]);
  });

  it("says why a pod cannot be placed and places it as soon as a node allows", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("controlplane", [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }]);
    await cluster.client.create(resources.pods, {
      metadata: { name: "p", namespace: "default" },
      spec: { containers: [{ name: "c" }] },
    });
    await until(
      () => cluster.pods()[0]?.status?.conditions?.[0]?.message,
      expect.stringContaining("0/1 nodes are available: 1 node(s) had untolerated taint"),
    );
    await cluster.node("node01");
    await until(() => cluster.pods()[0]?.spec.nodeName, "node01");
    await until(
      () =>
        cluster
          .all<Event>(resources.events)
          .map(({ reason, message }) => `${reason}: ${message}`)
          .filter((text) => text.includes("Sched") || text.includes("assigned"))
          .sort(),
      [
        expect.stringMatching(
          /^FailedScheduling: 0\/1 nodes are available: 1 node\(s\) had untolerated taint\(s\)\. no new claims to deallocate, preemption: /,
        ),
        "Scheduled: Successfully assigned default/p to node01",
      ],
    );
  });

  it("binds a pod at its creation: no step of it waits for a turn", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("node01");
    const took: number[] = [];
    for (let i = 0; i < 20; i++) {
      const name = `p${i}`;
      const begin = performance.now();
      await cluster.client.create(resources.pods, {
        metadata: { name, namespace: "default" },
        spec: { containers: [{ name: "c" }] },
      });
      while (!cluster.pods().find(({ metadata }) => metadata.name === name)?.spec.nodeName) {
        await new Promise((done) => setImmediate(done));
      }
      took.push(performance.now() - begin);
    }
    // Two milliseconds on an idle machine; the best counts, since this one may be busy, and a turn comes every time.
    expect(Math.min(...took)).toBeLessThan(50);
  });

  it("makes neither too many nor too few pods over restarts, broken watches and duplicate events", async () => {
    const cluster = new Cluster();
    await cluster.node("node01");
    const stop = cluster.kubelets();
    for (let round = 0; round < 5; round++) {
      const controllers = await cluster.start();
      if (round === 0) await cluster.deployment("web", 4);
      else
        await cluster.client.patch(
          resources.deployments,
          "web",
          "default",
          { spec: { replicas: 4 + round } },
          { type: "merge" },
        );
      cluster.api.breakWatches();
      await new Promise((done) => setTimeout(done, round * 3));
      cluster.api.repeatEvents();
      await controllers.stop();
    }
    await cluster.start();
    await until(() => cluster.all<Deployment>(resources.deployments)[0]?.status?.availableReplicas, 8);
    expect(cluster.pods()).toHaveLength(8);
    stop();
  });

  it("writes nothing when it starts into a settled cluster", async () => {
    const cluster = new Cluster();
    const before = await cluster.start();
    await cluster.node("controlplane", [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }]);
    await cluster.node("node01");
    const stop = cluster.kubelets();
    await cluster.service("web");
    await cluster.deployment("web", 3);
    await until(() => cluster.slices("web")[0]?.endpoints.filter(({ conditions }) => conditions?.ready).length, 3);
    await until(() => cluster.all<Deployment>(resources.deployments)[0]?.status?.availableReplicas, 3);
    stop();
    await before.stop();
    const past = cluster.api.requests.length;
    const controllers = await cluster.start();
    await new Promise((done) => setTimeout(done, 50));
    await controllers.idle();
    expect(cluster.api.requests.slice(past).filter((line) => !line.startsWith("GET"))).toEqual([]);
  });

  it("says each creation, deletion and scaling once", async () => {
    const cluster = new Cluster();
    const controllers = await cluster.start();
    await cluster.node("node01");
    const stop = cluster.kubelets();
    await cluster.deployment("web", 3);
    await until(() => cluster.all<Deployment>(resources.deployments)[0]?.status?.availableReplicas, 3);
    await cluster.client.patch(resources.deployments, "web", "default", { spec: { replicas: 1 } }, { type: "merge" });
    await until(() => cluster.pods().length, 1);
    const counts = () => {
      const sum: Record<string, number> = {};
      for (const { reason = "", count = 0 } of cluster.all<Event>(resources.events))
        sum[reason] = (sum[reason] ?? 0) + count;
      return sum;
    };
    const once = { RegisteredNode: 1, ScalingReplicaSet: 2, SuccessfulCreate: 3, Scheduled: 3, SuccessfulDelete: 2 };
    await until(counts, once);
    await controllers.idle();
    expect(counts()).toEqual(once);
    stop();
  });

  it("adopts orphans that match and releases pods whose labels changed", async () => {
    const cluster = new Cluster();
    await cluster.start();
    await cluster.node("node01");
    await cluster.client.create(resources.replicaSets, {
      metadata: { name: "rs", namespace: "default" },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "x" } },
        template: { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "c" }] } },
      },
    });
    await until(() => cluster.pods().length, 2);
    const name = cluster.pods()[0]?.metadata.name ?? "";
    await cluster.client.patch(
      resources.pods,
      name,
      "default",
      { metadata: { labels: { app: "debug" } } },
      { type: "merge" },
    );
    await until(() => cluster.pods().length, 3);
    await until(() => cluster.pods().find(({ metadata }) => metadata.name === name)?.metadata.ownerReferences, []);
    await cluster.client.patch(
      resources.pods,
      name,
      "default",
      { metadata: { labels: { app: "x" } } },
      { type: "merge" },
    );
    await until(() => cluster.pods().filter(({ metadata }) => !metadata.deletionTimestamp).length, 2);
  });
});
