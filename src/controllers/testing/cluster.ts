import { expect } from "vitest";
import {
  Client,
  type Event,
  isNotFound,
  type KubeObject,
  type Node,
  type Pod,
  type PodSpec,
  type Resource,
  resources,
} from "#api/index.ts";
import { type ApiServer, controllerUser, createApiServer } from "#apiserver/index.ts";
import { signingKey } from "#apiserver/testing/certificates.ts";
import { createLogger } from "#base/log.ts";
import { type ControllerOptions, type Controllers, startControllers } from "../index.ts";
import { type PodState, playKubelets, report } from "./kubelets.ts";

/** What a node is besides its name; by default ready, with 4 CPUs. */
export interface NodeTraits {
  readonly spec?: Node["spec"];
  readonly ready?: boolean;
  readonly labels?: object;
  readonly allocatable?: Record<string, string>;
}

/** The real API server and controllers in this process, with a player of kubelets instead of nodes. */
export class InProcessCluster {
  readonly server: ApiServer;
  readonly client: Client;
  /** The log's lines. */
  readonly lines: string[] = [];
  /** Decides how a running pod is: by default ready. */
  state: (pod: Pod) => PodState = () => "ready";
  readonly #log = createLogger("test", { write: (line) => this.lines.push(line), level: "debug" });
  readonly #serviceCidrs: readonly string[];
  #running: Controllers[] = [];
  #endPlay: (() => void) | undefined;

  constructor(serviceCidrs: readonly string[] = ["10.96.0.0/12"]) {
    this.#serviceCidrs = serviceCidrs;
    this.server = createApiServer(
      {
        advertiseAddress: "192.168.1.10",
        securePort: 6443,
        tls: { cert: "", key: "" },
        serviceAccounts: { issuer: "https://kubernetes.default.svc", signingKey: signingKey() },
        services: { cidrs: [...serviceCidrs], nodePorts: [30000, 32767] },
      },
      { log: this.#log },
    );
    this.client = new Client(this.server.localTransport(controllerUser), { userAgent: "test" });
  }

  /** Starts the controllers and the kubelets of so many nodes. */
  async start(nodes = 2): Promise<this> {
    const allocatable = { cpu: "16", memory: "32Gi", pods: "110" };
    for (let i = 1; i <= nodes; i++) await this.node(`node0${i}`, { allocatable });
    await this.startControllers();
    this.#endPlay = playKubelets(this.client, (pod) => this.state(pod));
    return this;
  }

  /** Starts the controllers, once more beside others or after stopControllers. */
  async startControllers(more: Partial<ControllerOptions> = {}): Promise<Controllers> {
    const client = new Client(this.server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
    const options: ControllerOptions = {
      podCidrs: ["10.244.0.0/16"],
      clusterCaPem: "CA",
      serviceCidrs: this.#serviceCidrs,
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

  /** Ends the controllers as a killed process would, but for writes under way; the API server stays. */
  async stopControllers(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((controllers) => controllers.stop()));
  }

  async stop(): Promise<void> {
    this.#endPlay?.();
    await this.stopControllers();
    await this.server.stop();
  }

  /** Registers a node as a kubelet does. */
  async node(name: string, { spec, ready = true, labels, allocatable }: NodeTraits = {}): Promise<void> {
    await this.client.create(resources.nodes, {
      metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
      ...(spec ? { spec } : {}),
      status: {
        conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
        allocatable: allocatable ?? { cpu: "4", memory: "8Gi", pods: "110" },
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
    await report(this.client, { metadata: { name } }, podIP, { phase: "Running", ready: "True" });
  }

  async getPod(name: string): Promise<Pod | undefined> {
    return await this.client.get<Pod>(resources.pods, name, "default").catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
  }

  /** All objects of a resource in the namespace default (or all, of cluster-scoped ones), by name. */
  async all<T extends KubeObject>(of: Resource<T>): Promise<T[]> {
    const { items } = await this.client.list(of, of.namespaced ? { namespace: "default" } : {});
    return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  async names(of: Resource): Promise<string[]> {
    return (await this.all(of)).map(({ metadata }) => metadata.name);
  }

  get<T extends KubeObject>(of: Resource<T>, name: string): Promise<T> {
    return this.client.get(of, name, of.namespaced ? "default" : undefined);
  }

  /** A strategic merge patch. */
  patch<T extends KubeObject>(of: Resource<T>, name: string, patch: object): Promise<T> {
    return this.client.patch(of, name, of.namespaced ? "default" : undefined, patch, { type: "strategic" });
  }

  /** `Reason: message` of the events about an object. */
  async events(name: string): Promise<string[]> {
    const { items } = await this.client.list<Event>(resources.events);
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** Messages of all events with that reason. */
  async messages(reason: string): Promise<string[]> {
    const { items } = await this.client.list<Event>(resources.events);
    return items.flatMap((event) => (event.reason === reason ? [event.message ?? ""] : []));
  }

  /** Waits until something is as expected, 15 seconds at most. */
  async until(what: () => Promise<unknown>, expected: unknown): Promise<void> {
    await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
  }

  /** Warnings and errors of the log so far. */
  warnings(): string[] {
    return this.lines.splice(0).filter((line) => /^[WE]/.test(line));
  }
}
