import { cidrContains, parseCidr, tryParseIp } from "#base/ip.ts";
import { badRequest, notFound, unavailable } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import type { RequestInfo } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";
import { nodeAddress, type Target } from "./targets.ts";

/** Addresses that no pod, endpoint or node may lead this server to: itself, its links, groups. */
const NOT_PROXYABLE = ["0.0.0.0/32", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"];
const NOT_PROXYABLE_6 = ["::/128", "::1/128", "fe80::/10", "ff00::/8", "::ffff:0:0/96"];

interface Place {
  readonly host: string;
  readonly port: number;
}

/**
 * Whether this server may open connections to an address that somebody wrote into a status
 * (apimachinery/pkg/util/proxy, IsProxyableIP: global unicast addresses only).
 */
export function isProxyable(address: string): boolean {
  const ip = tryParseIp(address);
  if (!ip) return false;
  const blocked = ip.family === 4 ? NOT_PROXYABLE : NOT_PROXYABLE_6;
  return !blocked.some((cidr) => cidrContains(parseCidr(cidr), ip));
}

/** How the last word of a proxy's path is read: `[scheme:]name[:port]`. */
function proxyName(kind: string, text: string): { scheme: string; name: string; port: string } {
  const parts = text.split(":");
  const scheme = parts.length === 3 ? (parts.shift() as string) : "";
  const [name = "", port = ""] = parts;
  if (parts.length > 2 || name === "" || !["", "http", "https"].includes(scheme))
    throw badRequest(`invalid ${kind} request ${JSON.stringify(text)}`);
  return { scheme, name, port };
}

/** What the client's address says before and after `…/proxy`; the rest is passed on as it was written. */
function splitUrl(info: RequestInfo, url: string): { prefix: string; below: string } {
  // The name may itself be "proxy", so the parts are counted: /api/v1/nodes/N/proxy, /api/v1/namespaces/NS/pods/N/proxy.
  const parts = info.path.split("/");
  const prefix = parts.slice(0, info.resource === "nodes" ? 6 : 8).join("/");
  return { prefix, below: url.slice(prefix.length) };
}

/**
 * Where a request to `pods/NAME/proxy`, `services/NAME/proxy` or `nodes/NAME/proxy` goes.
 * @param url path and query as the client wrote them
 * @param allowed which addresses may be connected to
 */
export function proxyTarget(
  store: Store,
  info: RequestInfo,
  url: string,
  allowed: (address: string) => boolean,
): Target {
  const { scheme, name, port } = proxyName(info.resource.slice(0, -1), info.name);
  const { prefix, below } = splitUrl(info, url);
  const target = { path: below.startsWith("/") ? below : `/${below}`, prefix };
  const checked = (place: Place): Place => {
    if (!allowed(place.host)) throw badRequest("address not allowed");
    return place;
  };
  const security = scheme === "https" ? "tls" : "plain";
  switch (info.resource) {
    case "nodes": {
      const node = nodeAddress(store, name);
      if (port === "" || port === String(node.port)) return { ...node, ...target };
      return { ...checked({ host: node.host, port: portNumber(port) }), security, ...target };
    }
    case "pods":
      return { ...checked(podPlace(store, info.namespace, name, port, scheme)), security, ...target };
    default:
      return { ...checked(servicePlace(store, info, name, port)), security, ...target };
  }
}

function portNumber(port: string): number {
  if (/^\d+$/.test(port) && Number(port) > 0 && Number(port) < 65536) return Number(port);
  throw badRequest(`invalid port ${JSON.stringify(port)}`);
}

function podPlace(store: Store, namespace: string, name: string, port: string, scheme: string): Place {
  const pod = store.get("pods", `${namespace}/${name}`)?.object;
  if (!pod) throw notFound({ group: "", plural: "pods" }, name);
  const spec = pod.spec as { containers?: { ports?: { name?: string; containerPort: number }[] }[] };
  const ports = (spec.containers ?? []).flatMap((c) => c.ports ?? []);
  const named = ports.find((p) => p.name === port)?.containerPort;
  const usual = scheme === "https" ? 443 : 80;
  const number = port === "" ? (ports[0]?.containerPort ?? usual) : (named ?? portNumber(port));
  return { host: (pod.status as { podIP?: string } | undefined)?.podIP ?? "", port: number };
}

/** An endpoint of a Service: this server does not stand behind the service proxy of a node. */
function servicePlace(store: Store, { namespace, name: asked }: RequestInfo, name: string, port: string): Place {
  const service = store.get("services", `${namespace}/${name}`)?.object;
  if (!service) throw notFound({ group: "", plural: "services" }, name);
  const portName = servicePortName(service, name, port);
  const slices = store
    .list("endpointslices.discovery.k8s.io")
    .filter((e) => e.namespace === namespace && e.object.metadata.labels?.["kubernetes.io/service-name"] === name);
  const places = slices.flatMap(({ object }) => endpointsOf(store, namespace, object, portName));
  const place = places[Math.floor(Math.random() * places.length)];
  if (!place) throw unavailable(`no endpoints available for service ${JSON.stringify(asked)}`);
  return place;
}

function servicePortName(service: StoredObject, name: string, port: string): string {
  if (!/^\d+$/.test(port)) return port;
  const ports = (service.spec as { ports?: { name?: string; port: number }[] }).ports ?? [];
  const found = ports.find((p) => String(p.port) === port);
  if (!found) throw unavailable(`no service port ${port} found for service ${JSON.stringify(name)}`);
  return found.name ?? "";
}

interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean };
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string };
}

/** Ready endpoints that are pods, with the address that the pod really has: others could lead anywhere. */
function endpointsOf(store: Store, namespace: string, slice: StoredObject, portName: string): Place[] {
  const ports = (slice.ports ?? []) as { name?: string; port?: number }[];
  const port = ports.find((p) => (p.name ?? "") === portName)?.port;
  if (port === undefined) return [];
  return ((slice.endpoints ?? []) as Endpoint[]).flatMap(({ addresses, conditions, targetRef }) => {
    const host = addresses[0];
    if (host === undefined || conditions?.ready === false || targetRef?.name === undefined) return [];
    if ((targetRef.namespace ?? namespace) !== namespace) return [];
    const pod = store.get("pods", `${namespace}/${targetRef.name}`)?.object;
    const { podIP, podIPs = [] } = (pod?.status ?? {}) as { podIP?: string; podIPs?: { ip: string }[] };
    return podIP === host || podIPs.some(({ ip }) => ip === host) ? [{ host, port }] : [];
  });
}
