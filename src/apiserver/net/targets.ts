import { badRequest, methodNotAllowed, noSuchPath, notFound, StatusError, unavailable } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import type { RequestInfo } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";

/** Where a forwarded request goes. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** TLS with this server's client certificate (node agents), TLS with any certificate, or none. */
  readonly security: "node" | "tls" | "plain";
  /** Path with the query string. */
  readonly path: string;
  /** Prefix that the client sees, for the Location headers of proxied pages; empty for node agents' own paths. */
  readonly prefix: string;
  /** Errors are put into a Status of this server (logs), instead of being passed on as they are. */
  readonly errorsAsStatus?: boolean;
}

/** Subresources that are passed on to somebody else. */
const forwarded: Readonly<Record<string, readonly string[]>> = {
  pods: ["log", "exec", "attach", "portforward", "proxy"],
  services: ["proxy"],
  nodes: ["proxy"],
};

/** Whether a request is one to pass on. */
export function isForwarded(info: RequestInfo): boolean {
  return (
    info.isResource &&
    info.group === "" &&
    info.version === "v1" &&
    (forwarded[info.resource]?.includes(info.subresource) ?? false)
  );
}

/** Finds where to pass a request on to. Throws StatusError. */
export function targetOf(store: Store, info: RequestInfo): Target {
  if (info.subresource === "proxy") return proxyTarget(store, info);
  const pod = store.get("pods", `${info.namespace}/${info.name}`)?.object;
  if (!pod) throw notFound({ group: "", plural: "pods" }, info.name);
  const { nodeName, containers = [] } = pod.spec as { nodeName?: string; containers?: { name: string }[] };
  if (!nodeName) throw badRequest(`pod ${info.name} does not have a host assigned`);
  const node = nodeAddress(store, nodeName);
  const base = `${encodeURIComponent(info.namespace)}/${encodeURIComponent(info.name)}`;
  if (info.subresource === "portforward") {
    return { ...node, path: `/portForward/${base}${queryText(info.query, "")}`, prefix: "" };
  }
  const container = chooseContainer(
    pod,
    containers.map((c) => c.name),
    info,
  );
  const action = info.subresource === "log" ? "containerLogs" : info.subresource;
  const query = new URLSearchParams(info.query);
  query.delete("container");
  if (info.subresource !== "log") nodeStreamNames(query);
  const path = `/${action}/${base}/${encodeURIComponent(container)}${queryText(query, "")}`;
  return { ...node, path, prefix: "", ...(info.subresource === "log" ? { errorsAsStatus: true } : {}) };
}

/** A kubelet calls the streams input, output and error (k8s.io/kubelet/pkg/cri/streaming/remotecommand). */
function nodeStreamNames(query: URLSearchParams): void {
  for (const [ours, theirs] of [
    ["stdin", "input"],
    ["stdout", "output"],
    ["stderr", "error"],
  ] as const) {
    if (["true", "1"].includes(query.get(ours) ?? "")) query.set(theirs, "1");
    query.delete(ours);
  }
  if (["true", "1"].includes(query.get("tty") ?? "")) query.set("tty", "1");
  else query.delete("tty");
}

function chooseContainer(pod: StoredObject, names: readonly string[], info: RequestInfo): string {
  const asked = info.query.get("container");
  const spec = pod.spec as { initContainers?: { name: string }[]; ephemeralContainers?: { name: string }[] };
  const init = (spec.initContainers ?? []).map((c) => c.name);
  const all = [...names, ...init, ...(spec.ephemeralContainers ?? []).map((c) => c.name)];
  const pick = asked || (names.length === 1 ? names[0] : undefined);
  if (pick && all.includes(pick)) return pick;
  if (pick) throw badRequest(`container ${pick} is not valid for pod ${info.name}`);
  const inits = init.length ? ` or one of the init containers: [${init.join(" ")}]` : "";
  throw badRequest(
    `a container name must be specified for pod ${info.name}, choose one of: [${names.join(" ")}]${inits}`,
  );
}

/** The agent of a node. */
function nodeAddress(store: Store, name: string): { host: string; port: number; security: "node" } {
  const node = store.get("nodes", name)?.object;
  if (!node) throw notFound({ group: "", plural: "nodes" }, name);
  const status = (node.status ?? {}) as {
    addresses?: { type: string; address: string }[];
    daemonEndpoints?: { kubeletEndpoint?: { Port?: number } };
  };
  const host = ["InternalIP", "ExternalIP", "Hostname"]
    .map((t) => status.addresses?.find((a) => a.type === t)?.address)
    .find(Boolean);
  if (!host) throw new StatusError(500, "InternalError", `no preferred addresses found; known addresses: []`);
  return { host, port: status.daemonEndpoints?.kubeletEndpoint?.Port || 10250, security: "node" };
}

function queryText(query: URLSearchParams, drop: string): string {
  const copy = new URLSearchParams(query);
  if (drop) copy.delete(drop);
  const text = copy.toString();
  return text ? `?${text}` : "";
}

/** `[scheme:]name[:port]`. */
function proxyName(text: string): { scheme: string; name: string; port: string } {
  const parts = text.split(":");
  const scheme = parts.length === 3 ? (parts.shift() as string) : "";
  if (parts.length > 2 || !["", "http", "https"].includes(scheme)) throw badRequest(`invalid proxy request "${text}"`);
  return { scheme, name: parts[0] as string, port: parts[1] ?? "" };
}

function proxyTarget(store: Store, info: RequestInfo): Target {
  const { scheme, name, port } = proxyName(info.name);
  const below = info.rest.map(encodeURIComponent).join("/");
  const slash = info.path.endsWith("/") && below !== "" ? "/" : "";
  const path = `/${below}${slash}${queryText(info.query, "")}`;
  const prefix = info.path.slice(0, info.path.indexOf("/proxy") + "/proxy".length);
  if (info.resource === "nodes") return { ...nodeAddress(store, name), path, prefix };
  const security = scheme === "https" ? "tls" : "plain";
  const place =
    info.resource === "pods"
      ? podPlace(store, info.namespace, name, port)
      : servicePlace(store, info.namespace, name, port);
  return { ...place, security, path, prefix };
}

function podPlace(store: Store, namespace: string, name: string, port: string): { host: string; port: number } {
  const pod = store.get("pods", `${namespace}/${name}`)?.object;
  if (!pod) throw notFound({ group: "", plural: "pods" }, name);
  const spec = pod.spec as { containers?: { ports?: { name?: string; containerPort: number }[] }[] };
  const ports = (spec.containers ?? []).flatMap((c) => c.ports ?? []);
  const number = /^\d+$/.test(port)
    ? Number(port)
    : port
      ? ports.find((p) => p.name === port)?.containerPort
      : (ports[0]?.containerPort ?? 80);
  const host = (pod.status as { podIP?: string } | undefined)?.podIP;
  if (!host || !number) throw badRequest(`address not allowed: pod ${name} has no such address`);
  return { host, port: number };
}

/** An endpoint of a Service: this server does not stand behind the service proxy of a node. */
function servicePlace(store: Store, namespace: string, name: string, port: string): { host: string; port: number } {
  const service = store.get("services", `${namespace}/${name}`)?.object;
  if (!service) throw notFound({ group: "", plural: "services" }, name);
  const ports = (service.spec as { ports?: { name?: string; port: number }[] }).ports ?? [];
  const wanted = port
    ? ports.find((p) => p.name === port || String(p.port) === port)
    : ports.length === 1
      ? ports[0]
      : undefined;
  if (!wanted) throw unavailable(`no service port "${port}" found for service "${name}"`);
  const slices = store
    .list("endpointslices.discovery.k8s.io")
    .filter((e) => e.namespace === namespace && e.object.metadata.labels?.["kubernetes.io/service-name"] === name);
  const places = slices.flatMap(({ object }) => endpointsOf(object, wanted.name ?? ""));
  const place = places[Math.floor(Math.random() * places.length)];
  if (!place) throw unavailable(`no endpoints available for service "${name}"`);
  return place;
}

function endpointsOf(slice: StoredObject, portName: string): { host: string; port: number }[] {
  const ports = (slice.ports ?? []) as { name?: string; port?: number }[];
  const port = ports.find((p) => (p.name ?? "") === portName)?.port;
  const endpoints = (slice.endpoints ?? []) as { addresses: string[]; conditions?: { ready?: boolean } }[];
  if (port === undefined) return [];
  return endpoints.filter((e) => e.conditions?.ready !== false).map((e) => ({ host: e.addresses[0] as string, port }));
}

/** Refuses methods that a forwarded subresource does not have. Throws StatusError 405. */
export function checkMethod(info: RequestInfo, method: string, upgrading: boolean): void {
  if (info.subresource === "proxy") return;
  if (info.subresource === "log") {
    if (method !== "GET") throw methodNotAllowed();
    return;
  }
  if (method !== "GET" && method !== "POST") throw methodNotAllowed();
  if (!upgrading) throw badRequest("Upgrade request required");
  if (info.name === "") throw noSuchPath();
}
