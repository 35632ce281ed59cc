import type { IngressBackend, Service } from "#api/index.ts";
import { tryParseIp } from "#base/ip.ts";

/** Where requests of a route go. */
export type Target =
  | {
      readonly kind: "service";
      readonly namespace: string;
      readonly name: string;
      readonly port: number;
      /** The Service's own address; endpoints behind it change without nginx being told. */
      readonly address: string;
    }
  /** No server can be named: 503 for a backend that is not there, 404 where none was asked for. */
  | { readonly kind: "answer"; readonly status: 404 | 503; readonly why: string };

/** Services by `namespace/name`. */
export type Services = ReadonlyMap<string, Service>;

const unavailable = (why: string): Target => ({ kind: "answer", status: 503, why });

/** Finds the Service address and port of a backend. `why` of an answer is a sentence for the Ingress' author. */
export function resolveBackend(namespace: string, backend: IngressBackend, services: Services): Target {
  if (!backend.service) return unavailable("a resource backend cannot be served, only backend.service");
  const { name, port: wanted } = backend.service;
  const service = services.get(`${namespace}/${name}`);
  if (!service) return unavailable(`Service "${namespace}/${name}" does not exist`);
  const { ports = [], clusterIP, type } = service.spec;
  if (type === "ExternalName") {
    return unavailable(
      `Service "${namespace}/${name}" is of type ExternalName; it has no address in the cluster to send requests to`,
    );
  }
  if (clusterIP === "None") {
    return unavailable(
      `Service "${namespace}/${name}" is headless (clusterIP: None); an Ingress needs a Service with a cluster IP`,
    );
  }
  const port = ports.find((each) => (wanted?.name ? each.name === wanted.name : each.port === wanted?.number));
  if (!port) {
    const has = ports.map((each) => (each.name ? `${each.name} (${each.port})` : String(each.port))).join(", ");
    return unavailable(
      `Service "${namespace}/${name}" has no port ${wanted?.name ?? wanted?.number}; it has ${has || "none"}`,
    );
  }
  if (port.protocol === "UDP" || port.protocol === "SCTP") {
    return unavailable(`port ${port.port} of Service "${namespace}/${name}" is ${port.protocol}, not TCP`);
  }
  if (!clusterIP || !tryParseIp(clusterIP)) return unavailable(`Service "${namespace}/${name}" has no cluster IP yet`);
  return { kind: "service", namespace, name, port: port.port, address: clusterIP };
}

/** The first port of a `namespace/name` Service, as `--default-backend-service` means it. */
export function resolveDefaultService(key: string, services: Services): Target {
  const [namespace = "", name = ""] = key.split("/");
  const port = services.get(key)?.spec.ports?.[0]?.port;
  const found = resolveBackend(namespace, { service: { name, port: { number: port ?? 0 } } }, services);
  return found.kind === "service" ? found : { kind: "answer", status: 404, why: found.why };
}
