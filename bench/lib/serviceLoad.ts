import type { ApiRequest, ApiResponse, EndpointSlice, Service, Transport } from "#api/index.ts";
import { formatIp, ipAdd, parseIp } from "#base/ip.ts";

/** How many Services, and endpoints of each. */
export interface Load {
  readonly services: number;
  readonly endpoints: number;
}

export const NAMESPACE = "bench";
export const NODE_NAME = "node01";
/** Pods' addresses: the sender's own too, so that nothing is masqueraded. */
export const POD_CIDR = "10.0.0.0/8";
export const SERVICE_CIDR = "172.30.0.0/16";
/** Port of every Service, and of the endpoints behind it. */
export const SERVICE_PORT = 80;
export const TARGET_PORT = 8080;

const firstService = parseIp("172.30.0.1");
const firstEndpoint = parseIp("10.1.0.0");
/** Where changed endpoints are: beyond those of any load. */
const firstChanged = parseIp("10.200.0.0");

/** The Service that packets are sent to, in the middle of the others; it answers over UDP too. */
export function targetOf({ services }: Load): number {
  return services >> 1;
}

export function clusterIpOf(index: number): string {
  return formatIp(ipAdd(firstService, index));
}

export function serviceName(index: number): string {
  return `svc-${String(index).padStart(5, "0")}`;
}

/** Protocols of a Service, as in its ports: the name of the port is `http` or `dns`. */
export function protocolsOf(load: Load, index: number): readonly ("TCP" | "UDP")[] {
  return index === targetOf(load) ? ["TCP", "UDP"] : ["TCP"];
}

/** Addresses of a Service's endpoints. @param turn another number gives another first endpoint */
export function addressesOf({ endpoints }: Load, index: number, turn = 0): string[] {
  return Array.from({ length: endpoints }, (_, i) =>
    formatIp(turn && i === 0 ? ipAdd(firstChanged, turn) : ipAdd(firstEndpoint, index * endpoints + i)),
  );
}

export function portName(protocol: "TCP" | "UDP"): string {
  return protocol === "TCP" ? "http" : "dns";
}

export function serviceObject(load: Load, index: number): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: NAMESPACE, name: serviceName(index), uid: `s${index}`, resourceVersion: `${index + 1}` },
    spec: {
      type: "ClusterIP",
      clusterIP: clusterIpOf(index),
      clusterIPs: [clusterIpOf(index)],
      ipFamilies: ["IPv4"],
      ports: protocolsOf(load, index).map((protocol) => ({
        ...{ name: portName(protocol), protocol, port: SERVICE_PORT, targetPort: TARGET_PORT },
      })),
      selector: { app: serviceName(index) },
    },
  } as Service;
}

export function sliceObject(load: Load, index: number, turn = 0): EndpointSlice {
  const version = load.services + index + 1 + turn * 2 * load.services;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: NAMESPACE,
      name: `${serviceName(index)}-a1b2c`,
      uid: `e${index}`,
      resourceVersion: `${version}`,
      labels: { "kubernetes.io/service-name": serviceName(index) },
    },
    addressType: "IPv4",
    ports: protocolsOf(load, index).map((protocol) => ({ name: portName(protocol), protocol, port: TARGET_PORT })),
    endpoints: addressesOf(load, index, turn).map((address) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: "node02",
    })),
  } as EndpointSlice;
}

/**
 * An API that streams the load as a watch does, each object made when it is asked for: what the proxy keeps of it is
 * the process's memory, and parsing is part of the time.
 */
export class LoadApi implements Transport {
  /** When the first event was handed over, on the clock of `performance.now()`. */
  firstEventAt: number | undefined;
  readonly #load: Load;
  readonly #changes: string[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(load: Load) {
    this.#load = load;
  }

  async request({ path, signal }: ApiRequest): Promise<ApiResponse> {
    return { status: 200, headers: { "content-type": "application/json" }, body: this.#events(path, signal) };
  }

  async close(): Promise<void> {}

  /** Changes one endpoint of a Service. */
  change(index: number, turn: number): void {
    this.#changes.push(event("MODIFIED", sliceObject(this.#load, index, turn)));
    this.#wake.resolve();
  }

  async *#events(path: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const make = path.includes("endpointslices") ? sliceObject : path.includes("services") ? serviceObject : undefined;
    for (let i = 0; make && i < this.#load.services; i++) {
      this.firstEventAt ??= performance.now();
      yield Buffer.from(event("ADDED", make(this.#load, i)));
    }
    const annotations = { "k8s.io/initial-events-end": "true" };
    const metadata = { name: "", resourceVersion: `${2 * this.#load.services}`, annotations };
    yield Buffer.from(event("BOOKMARK", { metadata }));
    const stopped = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => stopped.resolve(), { once: true });
    while (!signal?.aborted) {
      if (make === sliceObject) {
        for (const text of this.#changes.splice(0)) yield Buffer.from(text);
        this.#wake = Promise.withResolvers();
      }
      await Promise.race([stopped.promise, this.#wake.promise]);
      if (make !== sliceObject) await stopped.promise;
    }
  }
}

function event(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}
