import { apiVersionOf, resources } from "../resources.ts";
import {
  type FieldRequirement,
  matchesRequirements,
  parseFieldSelector,
  parseSelector,
  type Requirement,
} from "../selectors.ts";
import type { ApiRequest, ApiResponse } from "../transport.ts";
import type { ObjectMeta, Status } from "../types.ts";

/** An object of any kind, as the fake keeps it. */
export type FakeObject = { apiVersion?: string; kind?: string; metadata: ObjectMeta; [field: string]: unknown };

export interface FakeEvent {
  readonly type: string;
  readonly version: number;
  readonly collection: string;
  readonly object: FakeObject;
  readonly old?: FakeObject;
}

export interface Target {
  readonly collection: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  readonly query: URLSearchParams;
}

export class FakeFailure extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.status = status;
  }
}

export function failure(code: number, reason: string, message: string): Status {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

export function fail(code: number, reason: string, message: string): never {
  throw new FakeFailure(failure(code, reason, message));
}

export function answer(status: number, body: unknown): ApiResponse {
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    status,
    headers: { "content-type": "application/json" },
    body: (async function* () {
      yield bytes;
    })(),
  };
}

export function bodyOf(request: ApiRequest): unknown {
  return JSON.parse(typeof request.body === "string" ? request.body : Buffer.from(request.body ?? "{}").toString());
}

/** Takes `/api/v1/namespaces/x/pods/y/status?…` apart. */
export function parseTarget(path: string): Target {
  const url = new URL(path, "http://fake");
  const parts = url.pathname
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const root = parts.splice(0, parts[0] === "api" ? 2 : 3);
  let namespace: string | undefined;
  // `/api/v1/namespaces/x` alone and its subresources are the Namespace itself.
  if (parts[0] === "namespaces" && parts[2] !== undefined && !["status", "finalize"].includes(parts[2])) {
    namespace = parts[1];
    parts.splice(0, 2);
  }
  const [plural = "", name, subresource] = parts;
  return {
    collection: `/${[...root, plural].join("/")}`,
    query: url.searchParams,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

export function keyOf(target: Target): string {
  return `${target.collection}|${target.namespace ?? ""}/${target.name ?? ""}`;
}

export function filterOf(target: Target): (object: FakeObject) => boolean {
  const labels: Requirement[] = parseSelector(target.query.get("labelSelector") ?? "");
  const fields: FieldRequirement[] = parseFieldSelector(target.query.get("fieldSelector") ?? "");
  return (object) => {
    if (target.namespace !== undefined && object.metadata.namespace !== target.namespace) return false;
    if (target.name !== undefined && object.metadata.name !== target.name) return false;
    if (!matchesRequirements(labels, object.metadata.labels)) return false;
    return fields.every(({ field, value, equal }) => (fieldOf(object, field) === value) === equal);
  };
}

export function fieldOf(object: unknown, field: string): string {
  const value = field
    .split(".")
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], object);
  return value === undefined ? "" : String(value);
}

/** The legacy discovery documents of the resources in resources.ts. */
export function discovery(path: string): unknown {
  const all = Object.values(resources);
  if (path === "/apis") {
    const names = [...new Set(all.map(({ group }) => group))].filter((name) => name !== "");
    return { groups: names.map((name) => ({ name, versions: [{ version: "v1" }] })) };
  }
  const groupVersion = path.replace(/^\/apis?\//, "");
  const found = all.filter((one) => apiVersionOf(one) === groupVersion);
  if (found.length === 0) return undefined;
  const verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
  return {
    groupVersion,
    resources: found.map(({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced, verbs })),
  };
}

export function same(a: FakeObject, b: FakeObject): boolean {
  const strip = (object: FakeObject) =>
    JSON.stringify({ ...object, metadata: { ...object.metadata, resourceVersion: "" } });
  return strip(a) === strip(b);
}
