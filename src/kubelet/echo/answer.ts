import type { EchoOptions } from "./options.ts";

/** Who answers. */
export interface EchoIdentity {
  readonly pod: string;
  readonly namespace: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

/** A request as it arrived. */
export interface EchoRequest {
  readonly method: string;
  /** Path with the query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `address:port` of both ends, as the server's socket sees them. */
  readonly client: string;
  readonly server: string;
}

/** What goes back. */
export interface EchoAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Reads text out of a header that may be repeated. */
function headerText(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : (value ?? []).join(", ");
}

function describe(identity: EchoIdentity, request: EchoRequest): Record<string, unknown> {
  return {
    pod: identity.pod,
    namespace: identity.namespace,
    node: identity.node,
    addresses: identity.addresses,
    client: request.client,
    server: request.server,
    method: request.method,
    path: request.url,
    host: headerText(request.headers.host),
    headers: request.headers,
  };
}

function asText(fields: Record<string, unknown>): string {
  const lines = Object.entries(fields).flatMap(([name, value]) => {
    if (name !== "headers") return [`${name}: ${Array.isArray(value) ? value.join(" ") : String(value)}`];
    return Object.entries(value as EchoRequest["headers"]).map(([k, v]) => `header ${k}: ${headerText(v)}`);
  });
  return `${lines.join("\n")}\n`;
}

/** The answer to a request. Pure. Clients that ask for text/plain get lines instead of JSON. */
export function echoAnswer(options: EchoOptions, identity: EchoIdentity, request: EchoRequest): EchoAnswer {
  const who = {
    "x-pod": identity.pod,
    "x-namespace": identity.namespace,
    "x-node": identity.node,
    "x-client": request.client.slice(0, request.client.lastIndexOf(":")),
  };
  const path = request.url.split("?")[0] ?? "/";
  const text = { ...who, "content-type": "text/plain; charset=utf-8" };
  if (options.only !== undefined && path !== options.only) {
    return { status: 404, headers: text, body: `404 Not Found: ${path}\n` };
  }
  if (options.body !== undefined) return { status: options.status, headers: text, body: `${options.body}\n` };
  const fields = describe(identity, request);
  if (headerText(request.headers.accept).includes("text/plain")) {
    return { status: options.status, headers: text, body: asText(fields) };
  }
  const json = { ...who, "content-type": "application/json" };
  return { status: options.status, headers: json, body: `${JSON.stringify(fields, undefined, 2)}\n` };
}
