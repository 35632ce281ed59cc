import { badRequest, methodNotAllowed, noSuchPath, notFound, StatusError } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import type { RequestInfo } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";
import { checkLogOptions, skipsVerification } from "./log-options.ts";

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
  /** The client does not care whether the node's serving certificate is right. */
  readonly unverified?: boolean;
}

/** Subresources that are passed on to somebody else. */
const forwarded: Readonly<Record<string, readonly string[]>> = {
  pods: ["log", "exec", "attach", "portforward", "proxy"],
  services: ["proxy"],
  nodes: ["proxy"],
};

/** Whether a request is one to pass on: nodes stand in no namespace, pods and services in one. */
export function isForwarded(info: RequestInfo): boolean {
  return (
    info.isResource &&
    !info.oldWatch &&
    info.group === "" &&
    info.version === "v1" &&
    !(info.resource === "nodes" ? info.inNamespace : info.namespace === "") &&
    (forwarded[info.resource]?.includes(info.subresource) ?? false)
  );
}

/**
 * Finds the node agent that answers for a pod. Throws StatusError.
 * @returns undefined for the log of a pod that has no node yet: it is empty
 */
export function targetOf(store: Store, info: RequestInfo): Target | undefined {
  if (info.subresource === "log") checkLogOptions(info.query, info.name);
  const pod = store.get("pods", `${info.namespace}/${info.name}`)?.object;
  if (!pod) throw notFound({ group: "", plural: "pods" }, info.name);
  const base = `${encodeURIComponent(info.namespace)}/${encodeURIComponent(info.name)}`;
  if (info.subresource === "portforward")
    return { ...nodeOf(store, pod), path: `/portForward/${base}${queryText(info.query)}`, prefix: "" };
  const container = encodeURIComponent(chooseContainer(pod, info));
  const query = new URLSearchParams(info.query);
  query.delete("container");
  if (info.subresource !== "log") {
    nodeStreamNames(query);
    const path = `/${info.subresource}/${base}/${container}${queryText(query)}`;
    return { ...nodeOf(store, pod), path, prefix: "" };
  }
  if ((pod.spec as { nodeName?: string }).nodeName === undefined) return undefined;
  const unverified = skipsVerification(query);
  query.delete("insecureSkipTLSVerifyBackend");
  const path = `/containerLogs/${base}/${container}${queryText(query)}`;
  return { ...nodeOf(store, pod), path, prefix: "", errorsAsStatus: true, ...(unverified ? { unverified } : {}) };
}

/** The agent of a pod's node. */
function nodeOf(store: Store, pod: StoredObject) {
  const { nodeName } = pod.spec as { nodeName?: string };
  if (!nodeName) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  return nodeAddress(store, nodeName);
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

interface Containers {
  readonly containers?: readonly { name: string }[];
  readonly initContainers?: readonly { name: string }[];
  readonly ephemeralContainers?: readonly { name: string }[];
}

function chooseContainer(pod: StoredObject, info: RequestInfo): string {
  const asked = info.query.get("container");
  const spec = pod.spec as Containers;
  const names = (spec.containers ?? []).map((c) => c.name);
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

/** The agent of a node. Throws StatusError. */
export function nodeAddress(store: Store, name: string): { host: string; port: number; security: "node" } {
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

function queryText(query: URLSearchParams): string {
  const text = query.toString();
  return text ? `?${text}` : "";
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
