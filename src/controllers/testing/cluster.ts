import { expect } from "vitest";
import { Client, type Event, type KubeObject, type Node, type Pod, type Resource, resources } from "#api/index.ts";
import { type ApiServer, controllerUser, createApiServer } from "#apiserver/index.ts";
import { signingKey } from "#apiserver/testing/certificates.ts";
import { createLogger } from "#base/log.ts";
import { type ControllerOptions, type Controllers, startControllers } from "../index.ts";

const options: ControllerOptions = {
  podCidrs: ["10.244.0.0/16"],
  clusterCaPem: "CA",
  serviceCidrs: ["10.96.0.0/12"],
  apiAddress: { host: "192.168.1.10", port: 6443 },
};

/** The real API server and controllers in this process, with a player of kubelets instead of nodes. */
export class InProcessCluster {
  readonly server: ApiServer;
  readonly client: Client;
  /** The log's lines. */
  readonly lines: string[] = [];
  /** Decides how a running pod is: by default ready. */
  state: (pod: Pod) => "pending" | "ready" | "unready" | "Succeeded" | "Failed" = () => "ready";
  readonly #log = createLogger("test", { write: (line) => this.lines.push(line), level: "debug" });
  #controllers: Controllers | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.server = createApiServer(
      {
        advertiseAddress: "192.168.1.10",
        securePort: 6443,
        tls: { cert: "", key: "" },
        serviceAccounts: { issuer: "https://kubernetes.default.svc", signingKey: signingKey() },
        services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
      },
      { log: this.#log },
    );
    this.client = new Client(this.server.localTransport(controllerUser), { userAgent: "test" });
  }

  /** Starts the controllers and the kubelets of so many nodes. */
  async start(nodes = 2): Promise<this> {
    for (let i = 1; i <= nodes; i++) await this.addNode(`node0${i}`);
    await this.startControllers();
    this.#timer = setInterval(() => void this.#play(), 4);
    return this;
  }

  /** Starts the controllers, again after stopControllers. */
  async startControllers(): Promise<void> {
    const client = new Client(this.server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
    this.#controllers = await startControllers({ client, log: this.#log, options });
  }

  /** Ends the controllers as a killed process would, but for writes under way. */
  async stopControllers(): Promise<void> {
    await this.#controllers?.stop();
    this.#controllers = undefined;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.stopControllers();
    await this.server.stop();
  }

  async addNode(name: string, spec: NonNullable<Node["spec"]> = {}): Promise<void> {
    await this.client.create(resources.nodes, {
      metadata: { name, labels: { "kubernetes.io/hostname": name } },
      spec,
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        allocatable: { cpu: "16", memory: "32Gi", pods: "110" },
      },
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

  /** Waits until something is as expected, 15 seconds at most. */
  async until(what: () => Promise<unknown>, expected: unknown): Promise<void> {
    await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
  }

  /** Warnings and errors of the log so far. */
  warnings(): string[] {
    return this.lines.splice(0).filter((line) => /^[WE]/.test(line));
  }

  async #play(): Promise<void> {
    const { items } = await this.client.list<Pod>(resources.pods).catch(() => ({ items: [] as Pod[] }));
    await Promise.all(items.map((pod, n) => this.#playPod(pod, n).catch(() => {})));
  }

  async #playPod(pod: Pod, n: number): Promise<void> {
    const { name, namespace } = pod.metadata;
    if (!pod.spec.nodeName) return;
    if (pod.metadata.deletionTimestamp) {
      await this.client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 });
      return;
    }
    const state = this.state(pod);
    const phase = state === "ready" || state === "unready" ? "Running" : state;
    const ready = state === "ready" ? "True" : "False";
    if (state === "pending" || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return;
    const present = pod.status?.conditions?.find(({ type }) => type === "Ready")?.status;
    if (pod.status?.phase === phase && present === ready) return;
    const podIP = `10.244.1.${n + 2}`;
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
    const conditions = [...others, { type: "Ready", status: ready, lastTransitionTime: new Date().toISOString() }];
    const patch = { status: { phase, podIP, podIPs: [{ ip: podIP }], conditions } };
    await this.client.patch(resources.pods, name, namespace, patch, { type: "merge", subresource: "status" });
  }
}
