import { Client, type Event, isNotFound, type Node, type Pod, type PodSpec, resources } from "#api/index.ts";
import { type ApiServer, controllerUser, createApiServer } from "#apiserver/index.ts";
import { signingKey } from "#apiserver/testing/certificates.ts";
import { createLogger } from "#base/log.ts";
import type { ControllerOptions } from "../context.ts";
import { type Controllers, startControllers } from "../start.ts";

/** An API server in this process with its controllers, for tests. */
export class ControlPlane {
  readonly client: Client;
  readonly server: ApiServer;
  readonly lines: string[] = [];
  readonly #log = createLogger("test", { write: (line) => this.lines.push(line), level: "debug" });
  readonly #cidrs: readonly string[];
  #running: Controllers[] = [];

  constructor(cidrs: readonly string[] = ["10.96.0.0/12"]) {
    this.#cidrs = cidrs;
    this.server = createApiServer(
      {
        advertiseAddress: "192.168.1.10",
        securePort: 6443,
        tls: { cert: "", key: "" },
        serviceAccounts: { issuer: "https://kubernetes.default.svc", signingKey: signingKey() },
        services: { cidrs: [...cidrs], nodePorts: [30_000, 32_767] },
      },
      { log: this.#log },
    );
    this.client = new Client(this.server.localTransport(controllerUser), { userAgent: "test" });
  }

  /** Starts the controllers. */
  async start(more: Partial<ControllerOptions> = {}): Promise<Controllers> {
    const client = new Client(this.server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
    const options: ControllerOptions = {
      podCidrs: ["10.244.0.0/16"],
      clusterCaPem: "CA",
      serviceCidrs: this.#cidrs,
      apiAddress: { host: "192.168.1.10", port: 6443 },
      ...more,
    };
    const controllers = await startControllers({ client, log: this.#log, options });
    this.#running.push(controllers);
    return controllers;
  }

  /** The controllers that were started last. */
  get controllers(): Controllers {
    const last = this.#running.at(-1);
    if (!last) throw new Error("no controllers are running");
    return last;
  }

  /** Stops the controllers, leaves the API server. */
  async stopControllers(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((controllers) => controllers.stop()));
  }

  async stop(): Promise<void> {
    await this.stopControllers();
    await this.server.stop();
  }

  /** Registers a node as a kubelet does. */
  async node(name: string, more: { spec?: Node["spec"]; ready?: boolean; labels?: object } = {}): Promise<void> {
    await this.client.create(resources.nodes, {
      metadata: { name, labels: { "kubernetes.io/hostname": name, ...more.labels } },
      ...(more.spec ? { spec: more.spec } : {}),
      status: {
        conditions: [{ type: "Ready", status: more.ready === false ? "False" : "True" }],
        allocatable: { cpu: "4", memory: "8Gi", pods: "110" },
      },
    });
  }

  /** Sets a node's condition Ready. */
  async ready(name: string, status: "True" | "False"): Promise<void> {
    const conditions = [{ type: "Ready", status, lastHeartbeatTime: new Date().toISOString() }];
    const options = { type: "merge", subresource: "status" } as const;
    await this.client.patch(resources.nodes, name, undefined, { status: { conditions } }, options);
  }

  /** Renews a node's lease. */
  async renew(name: string): Promise<void> {
    const renewTime = new Date().toISOString().replace("Z", "000Z");
    const namespace = "kube-node-lease";
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
    try {
      await this.client.patch(resources.leases, name, namespace, { spec }, { type: "merge" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.client.create(resources.leases, { metadata: { name, namespace }, spec });
    }
  }

  async pod(name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Promise<Pod> {
    return await this.client.create(resources.pods, {
      metadata: { name, namespace: "default", labels },
      spec: { containers: [{ name: "c", image: "nginx" }], ...spec },
    });
  }

  /** Plays a kubelet that has started the pod. */
  async run(name: string, podIP: string): Promise<void> {
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: new Date().toISOString() }];
    const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
    const options = { type: "merge", subresource: "status" } as const;
    await this.client.patch(resources.pods, name, "default", { status }, options);
  }

  async getPod(name: string): Promise<Pod | undefined> {
    return await this.client.get<Pod>(resources.pods, name, "default").catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
  }

  /** Messages of all events with that reason. */
  async events(reason: string): Promise<string[]> {
    const { items } = await this.client.list<Event>(resources.events);
    return items.flatMap((event) => (event.reason === reason ? [event.message ?? ""] : []));
  }
}
