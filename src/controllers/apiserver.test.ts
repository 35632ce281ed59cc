import { afterEach, describe, expect, it } from "vitest";
import {
  Client,
  type Deployment,
  type EndpointSlice,
  type Event,
  isNotFound,
  type Node,
  type Pod,
  type ReplicaSet,
  resources,
  type Service,
} from "#api/index.ts";
import { type ApiServer, controllerUser, createApiServer } from "#apiserver/index.ts";
import { frozen } from "#apiserver/testing/frozen.ts";
import { createLogger } from "#base/log.ts";
import { type ControllerOptions, startControllers } from "./index.ts";

const options: ControllerOptions = {
  podCidrs: ["10.244.0.0/16"],
  clusterCaPem: "CA",
  serviceCidrs: ["10.96.0.0/12"],
  apiAddress: { host: "192.168.1.10", port: 6443 },
};
const lines: string[] = [];
const log = createLogger("test", { write: (line) => lines.push(line), level: "debug" });
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function serve(): { server: ApiServer; client: Client } {
  const server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: { cert: "", key: "" },
      serviceAccounts: { issuer: "https://kubernetes.default.svc" },
      services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    },
    { log },
  );
  cleanups.push(() => server.stop());
  return { server, client: new Client(server.localTransport(controllerUser), { userAgent: "test" }) };
}

async function start(server: ApiServer) {
  const transport = frozen(server.localTransport(controllerUser));
  const client = new Client(transport, { userAgent: "kube-controller-manager" });
  const controllers = await startControllers({ client, log, options });
  cleanups.push(() => controllers.stop());
  return controllers;
}

async function addNode(client: Client, name: string): Promise<void> {
  const node: Node = {
    metadata: { name, labels: { "kubernetes.io/hostname": name } },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      allocatable: { cpu: "4", memory: "8Gi", pods: "110" },
    },
  };
  await client.create(resources.nodes, node);
}

/** Plays the kubelets of all nodes. */
function kubelets(client: Client): () => void {
  const timer = setInterval(async () => {
    const { items } = await client.list<Pod>(resources.pods).catch(() => ({ items: [] as Pod[] }));
    for (const [n, { metadata, spec, status }] of items.entries()) {
      if (!spec.nodeName) continue;
      const { name, namespace } = metadata;
      if (metadata.deletionTimestamp) {
        await client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 }).catch(() => {});
      } else if (status?.phase !== "Running") {
        const podIP = `10.244.1.${n + 2}`;
        const conditions = [{ type: "Ready", status: "True", lastTransitionTime: new Date().toISOString() }];
        const patch = { status: { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions } };
        await client
          .patch(resources.pods, name, namespace, patch, { type: "merge", subresource: "status" })
          .catch(() => {});
      }
    }
  }, 3);
  return () => clearInterval(timer);
}

const container = { name: "web", image: "podwire/echo", ports: [{ name: "http", containerPort: 8080 }] };
const web: Deployment = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [container] } },
  },
};
const service: Service = {
  metadata: { name: "web", namespace: "default" },
  spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] },
};

const until = async (what: () => Promise<unknown>, expected: unknown) =>
  await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
const warnings = () => lines.splice(0).filter((line) => /^[WE]/.test(line));

describe("controllers with the API server", () => {
  it("bring a Deployment and its Service up, roll it out, and take it away", async () => {
    const { server, client } = serve();
    await start(server);
    await addNode(client, "node01");
    await addNode(client, "node02");
    const stop = kubelets(client);
    await client.create(resources.services, service);
    await client.create(resources.deployments, web);
    const status = async () => (await client.get<Deployment>(resources.deployments, "web", "default")).status;
    await until(async () => (await status())?.availableReplicas, 3);
    const endpoints = async () => {
      const labelSelector = "kubernetes.io/service-name=web";
      const { items } = await client.list<EndpointSlice>(resources.endpointSlices, { labelSelector });
      return items.flatMap((slice) => slice.endpoints.filter(({ conditions }) => conditions?.ready)).length;
    };
    await until(endpoints, 3);
    const { items: pods } = await client.list<Pod>(resources.pods);
    expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
    expect(pods).toHaveLength(3);

    const image = { spec: { template: { spec: { containers: [{ name: "web", image: "nginx" }] } } } };
    await client.patch(resources.deployments, "web", "default", image, { type: "strategic" });
    await until(async () => {
      const { metadata, status: now } = await client.get<Deployment>(resources.deployments, "web", "default");
      const seen = now?.observedGeneration === metadata.generation;
      return [seen, now?.updatedReplicas, now?.replicas, now?.availableReplicas];
    }, [true, 3, 3, 3]);
    const { items: sets } = await client.list<ReplicaSet>(resources.replicaSets);
    expect(sets.map(({ spec }) => spec.replicas).sort()).toEqual([0, 3]);

    await client.delete(resources.services, "web", "default");
    await until(endpoints, 0);
    await client.delete(resources.deployments, "web", "default", { propagationPolicy: "Foreground" });
    await until(async () => {
      const gone = await client.get(resources.deployments, "web", "default").catch((error: unknown) => error);
      const left = await client.list(resources.pods);
      return [isNotFound(gone), left.items.length];
    }, [true, 0]);
    stop();
    await until(
      async () => {
        const { items: events } = await client.list<Event>(resources.events);
        return new Set(events.map(({ reason }) => reason));
      },
      new Set(["RegisteredNode", "ScalingReplicaSet", "SuccessfulCreate", "SuccessfulDelete", "Scheduled"]),
    );
    expect(warnings()).toEqual([]);
  });

  it("give namespaces their accounts, and empty and remove them", async () => {
    const { server, client } = serve();
    await start(server);
    await client.create(resources.namespaces, { metadata: { name: "app-space" } });
    await until(async () => (await client.list(resources.serviceAccounts, { namespace: "app-space" })).items.length, 1);
    await until(async () => (await client.list(resources.configMaps, { namespace: "app-space" })).items.length, 1);
    await client.create(resources.secrets, { metadata: { name: "s", namespace: "app-space" }, data: {} });
    await client.create(resources.deployments, { ...web, metadata: { name: "web", namespace: "app-space" } });
    await until(async () => (await client.list(resources.pods, { namespace: "app-space" })).items.length, 3);
    await client.delete(resources.namespaces, "app-space");
    await until(
      async () => isNotFound(await client.get(resources.namespaces, "app-space").catch((e: unknown) => e)),
      true,
    );
    expect((await client.list(resources.pods)).items).toEqual([]);
    expect(warnings()).toEqual([]);
  });

  it("leave the Service kubernetes as the API server made it, and write nothing in a settled cluster", async () => {
    const { server, client } = serve();
    const first = await start(server);
    await addNode(client, "node01");
    const stop = kubelets(client);
    await client.create(resources.deployments, web);
    await until(
      async () => (await client.get<Deployment>(resources.deployments, "web", "default")).status?.availableReplicas,
      3,
    );
    stop();
    await first.idle();
    await new Promise((done) => setTimeout(done, 50));
    await first.stop();
    const before = server.revision;
    const second = await start(server);
    await second.idle();
    await new Promise((done) => setTimeout(done, 100));
    expect(server.revision).toBe(before);
    expect(warnings()).toEqual([]);
  });
});
