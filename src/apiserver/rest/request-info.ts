import { flag } from "./list-options.ts";

/** What a request is about, as authorisation sees it (apiserver/pkg/endpoints/request/requestinfo.go). */
export interface RequestInfo {
  readonly isResource: boolean;
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
  /** What follows the subresource: a proxy's path. */
  readonly rest: readonly string[];
  /** It came as `/api/v1/watch/…`: a watch whatever its method, and of no subresource. */
  readonly oldWatch?: boolean;
  /** The path leads through a namespace (`/namespaces/x/pods`) instead of naming one (`/namespaces/x`). */
  readonly inNamespace?: boolean;
}

const writeVerbs: Readonly<Record<string, string>> = {
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** Takes a request's path apart. Throws URIError for broken percent encoding. */
export function parseRequest(method: string, url: string): RequestInfo {
  const mark = url.indexOf("?");
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
  const parts = path.split("/").slice(1);
  if (path.includes("%")) for (const [i, part] of parts.entries()) parts[i] = decodeURIComponent(part);
  if (parts.at(-1) === "") parts.pop();
  const plain = {
    isResource: false,
    verb: method.toLowerCase(),
    path,
    query,
    group: "",
    version: "",
    namespace: "",
    resource: "",
    name: "",
    subresource: "",
    rest: [],
  };
  const core = parts[0] === "api";
  if (!core && parts[0] !== "apis") return plain;
  const group = core ? "" : (parts[1] ?? "");
  const rest = parts.slice(core ? 1 : 2);
  const version = rest.shift();
  if (version === undefined || rest.length === 0) return plain;
  // The old way to watch: /api/v1/watch/namespaces/x/pods/y.
  const old = rest[0] === "watch" && rest.length > 1;
  if (old) rest.shift();
  let namespace = "";
  let inNamespace = false;
  // /namespaces/x/status and /finalize are of the namespace itself, any other third part is a resource inside it.
  if (rest[0] === "namespaces" && rest.length >= 2) {
    namespace = rest[1] as string;
    inNamespace = rest.length > 2 && !(rest.length === 3 && (rest[2] === "status" || rest[2] === "finalize"));
    if (inNamespace) rest.splice(0, 2);
  }
  const [resource = "", name = "", subresource = "", ...more] = rest;
  const verb = old ? "watch" : resourceVerb(method, name, query);
  const info = { isResource: true, verb, path, query, group, version, namespace, resource, name, subresource };
  return { ...info, rest: more, ...(old ? { oldWatch: true } : {}), ...(inNamespace ? { inNamespace } : {}) };
}

function resourceVerb(method: string, name: string, query: URLSearchParams): string {
  if (method === "GET" || method === "HEAD") {
    if (name) return "get";
    return flag(query, "watch") ? "watch" : "list";
  }
  const verb = writeVerbs[method] ?? "";
  return verb === "delete" && !name ? "deletecollection" : verb;
}
