import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";

/** What a watch sends. */
interface StubObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion: string };
}

/** An address of a Service by its number, from 10.96.0.0/12 on. */
export function serviceAddress(number: number): string {
  const value = number + 256;
  return `10.${96 + (value >> 16)}.${(value >> 8) & 255}.${value & 255}`;
}

/** The name of a Service by its number: a hundred namespaces. */
export const serviceName = (number: number): string => `service-${number}`;
export const namespaceName = (number: number): string => `team-${number % 100}`;
/** The headless Service of every stub, in the namespace team-0. */
export const headless = { name: "headless", namespace: "team-0", endpoints: 50 };

/**
 * As much of an API server as a DNS server needs: watches of Services, namespaces and EndpointSlices over plain HTTP/2
 * on loopback, with Services that the benchmark makes and changes.
 */
export class KubeStub {
  readonly #server: Http2Server;
  readonly #watches = new Map<ServerHttp2Stream, string>();
  readonly #services: StubObject[] = [];
  #version = 1;

  private constructor(services: number) {
    for (let i = 0; i < services; i++)
      this.#services.push(this.#service(serviceName(i), namespaceName(i), serviceAddress(i)));
    this.#server = createServer({ settings: { initialWindowSize: 4 << 20 } });
    this.#server.on("stream", (stream, headers) => this.#watch(stream, String(headers[":path"])));
  }

  static async start(services: number): Promise<KubeStub> {
    const stub = new KubeStub(services);
    stub.#server.listen(0, "127.0.0.1");
    await once(stub.#server, "listening");
    return stub;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  /** A new Service, or another address of one. */
  put(name: string, namespace: string, address: string): void {
    this.#send("services", "MODIFIED", this.#service(name, namespace, address));
  }

  async stop(): Promise<void> {
    for (const stream of this.#watches.keys()) stream.destroy();
    this.#server.close();
  }

  #send(resource: string, type: string, object: StubObject): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    for (const [stream, watched] of this.#watches) if (watched === resource) stream.write(line);
  }

  #watch(stream: ServerHttp2Stream, path: string): void {
    const resource = /\/(services|namespaces|endpointslices)\?/.exec(path)?.[1] ?? "";
    stream.on("error", () => {});
    stream.on("close", () => this.#watches.delete(stream));
    stream.respond({ ":status": 200, "content-type": "application/json" });
    for (const object of this.#objects(resource)) stream.write(`${JSON.stringify({ type: "ADDED", object })}\n`);
    const annotations = { "k8s.io/initial-events-end": "true" };
    const bookmark = { metadata: { name: "", resourceVersion: String(this.#version), annotations } };
    stream.write(`${JSON.stringify({ type: "BOOKMARK", object: bookmark })}\n`);
    this.#watches.set(stream, resource);
  }

  #objects(resource: string): StubObject[] {
    if (resource === "namespaces")
      return Array.from({ length: 100 }, (_, i) => ({ kind: "Namespace", metadata: this.#metadata(namespaceName(i)) }));
    if (resource === "endpointslices") return [this.#slice()];
    return resource === "services" ? [this.#service(headless.name, headless.namespace, "None"), ...this.#services] : [];
  }

  #metadata(name: string, namespace?: string) {
    return { name, ...(namespace && { namespace }), resourceVersion: String(this.#version++) };
  }

  #service(name: string, namespace: string, clusterIP: string) {
    const spec = {
      type: "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: "http", port: 80, protocol: "TCP" }],
    };
    return { kind: "Service", metadata: this.#metadata(name, namespace), spec };
  }

  #slice() {
    const endpoints = Array.from({ length: headless.endpoints }, (_, i) => ({
      addresses: [`10.244.7.${i + 1}`],
      conditions: { ready: true },
    }));
    const labels = { "kubernetes.io/service-name": headless.name };
    const metadata = { ...this.#metadata("headless-1", headless.namespace), labels };
    return { kind: "EndpointSlice", metadata, addressType: "IPv4", endpoints, ports: [{ name: "http", port: 80 }] };
  }
}
