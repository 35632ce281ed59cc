import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import path from "node:path";
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
  // A node has its share of all endpoints: a hundred, as in a cluster of a thousand nodes.
  const nodeOf = (i: number) => ((index * load.endpoints + i) % 1000 === 0 ? NODE_NAME : "node02");
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
    endpoints: addressesOf(load, index, turn).map((address, i) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: nodeOf(i),
    })),
  } as EndpointSlice;
}

/** Files of a load in a folder: the events of a watch, as the API server sends them. */
const files = { services: "services.json", slices: "endpointslices.json" } as const;

/** Writes a load's events, so that making them is no part of what is measured. */
export function writeEvents(load: Load, folder: string): void {
  const write = (name: string, make: (load: Load, index: number) => object) => {
    const file = openSync(path.join(folder, name), "w");
    for (let i = 0; i < load.services; i++) writeSync(file, event("ADDED", make(load, i)));
    closeSync(file);
  };
  write(files.services, serviceObject);
  write(files.slices, (of, index) => sliceObject(of, index));
}

/** An API that streams a load's events from files as a watch does from a connection, and changes of it. */
export class LoadApi implements Transport {
  /** When the first event was handed over, on the clock of `performance.now()`. */
  firstEventAt: number | undefined;
  readonly #load: Load;
  readonly #folder: string;
  readonly #changes: Buffer[] = [];
  #wake = Promise.withResolvers<void>();

  /** @param folder with what {@link writeEvents} has written */
  constructor(load: Load, folder: string) {
    this.#load = load;
    this.#folder = folder;
  }

  async request({ path, signal }: ApiRequest): Promise<ApiResponse> {
    const body = path.includes("watch=true") ? this.#events(path, signal) : nothing();
    return { status: 200, headers: { "content-type": "application/json" }, body };
  }

  async close(): Promise<void> {}

  /** The event of another first endpoint for a Service. */
  changed(index: number, turn: number): Buffer {
    return Buffer.from(event("MODIFIED", sliceObject(this.#load, index, turn)));
  }

  /** Sends an event of {@link changed}. */
  send(change: Buffer): void {
    this.#changes.push(change);
    this.#wake.resolve();
  }

  async *#events(request: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const isSlices = request.includes("endpointslices");
    const file = isSlices ? files.slices : request.includes("services") ? files.services : undefined;
    for await (const chunk of file ? createReadStream(path.join(this.#folder, file)) : []) {
      this.firstEventAt ??= performance.now();
      yield chunk as Buffer;
    }
    const annotations = { "k8s.io/initial-events-end": "true" };
    const metadata = { name: "", resourceVersion: `${2 * this.#load.services}`, annotations };
    yield Buffer.from(event("BOOKMARK", { metadata }));
    const stopped = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => stopped.resolve(), { once: true });
    while (!signal?.aborted) {
      if (isSlices) {
        this.#wake = Promise.withResolvers();
        yield* this.#changes.splice(0);
      }
      await Promise.race(isSlices ? [stopped.promise, this.#wake.promise] : [stopped.promise]);
    }
  }
}

/** The answer to a list of what the load has nothing of. */
async function* nothing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from(JSON.stringify({ metadata: { resourceVersion: "1" }, items: [] }));
}

function event(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}
