import type { IncomingMessage } from "node:http";
import type { AnyRequest } from "./exchange.ts";
import type { Target } from "./targets.ts";

/** Headers that belong to one connection or to this server. */
const dropped = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "host",
  "authorization",
  "http2-settings",
  "te",
  "trailer",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
]);

/** What only this server may say of itself (apimachinery/pkg/util/proxy, removeCORSHeaders). */
const cors = new Set([
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-origin",
]);

/** Headers by lower-case name. */
export type Headers = Record<string, string | string[]>;

/** What the client is and asked, for X-Forwarded-*. */
export interface Forwarded {
  readonly clientAddress: string | undefined;
  readonly host: string | undefined;
  readonly path: string;
}

/** The request's headers as they go on: no credentials, nothing of the connection; who asked for a proxied page. */
export function forwardedHeaders(request: AnyRequest, target: Target): Headers {
  const out: Headers = {};
  const hops = namedByConnection(request.headers.connection);
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && isPassedOn(name) && !hops.has(name)) out[name] = value;
  }
  return target.prefix === "" ? out : { ...out, ...forwardedBy(request, target, out) };
}

function isPassedOn(name: string): boolean {
  return !name.startsWith(":") && !dropped.has(name) && !name.startsWith("impersonate-");
}

function namedByConnection(value: string | undefined): Set<string> {
  return new Set((value ?? "").split(",").map((name) => name.trim().toLowerCase()));
}

/** X-Forwarded-*, as upstream's proxy transport and Go's ReverseProxy set them. */
function forwardedBy(request: AnyRequest, target: Target, given: Headers): Headers {
  const address = request.socket?.remoteAddress;
  const earlier = [given["x-forwarded-for"] ?? []].flat();
  const host = (request.headers[":authority"] as string | undefined) ?? request.headers.host;
  return {
    "x-forwarded-uri": `${target.prefix}${target.path.split("?")[0]}`,
    "x-forwarded-proto": "https",
    ...(host ? { "x-forwarded-host": host } : {}),
    ...(address ? { "x-forwarded-for": [...earlier, address].join(", ") } : {}),
  };
}

/** Headers of one connection stay here; a redirect is put under the path that the client knows. */
export function answerHeaders(answer: IncomingMessage, target: Target): Headers {
  const out: Headers = {};
  const hops = namedByConnection(answer.headers.connection);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && !dropped.has(name) && !cors.has(name) && !hops.has(name)) out[name] = value;
  }
  const { location } = answer.headers;
  if (location !== undefined && target.prefix) out["location"] = rewriteLocation(location, target);
  return out;
}

/**
 * Where a redirect of a proxied server leads for the client (apimachinery/pkg/util/proxy, Transport.rewriteURL):
 * a place on that server is put below the proxy's path, another server or a relative path stays.
 */
export function rewriteLocation(
  location: string,
  { prefix, host, port }: Pick<Target, "prefix" | "host" | "port">,
): string {
  const own = /^https?:\/\/([^/?#]*)(.*)$/i.exec(location);
  if (own && own[1] !== authority(host, port) && own[1] !== bracketed(host)) return location;
  const path = own ? own[2] || "/" : location;
  if (!path.startsWith("/") || path.startsWith("//") || path.startsWith(`${prefix}/`)) return location;
  return `${prefix}${path}`;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** `host:port`, with brackets around an IPv6 address. */
export function authority(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** A request for an upgrade as it goes to the target: its own path and host, the client's headers, no credentials. */
export function requestHead(request: IncomingMessage, target: Target): string {
  const lines = [`${request.method} ${target.path} HTTP/1.1`, `Host: ${authority(target.host, target.port)}`];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] as string;
    const lower = name.toLowerCase();
    if (lower === "host" || lower === "authorization" || lower.startsWith("impersonate-")) continue;
    if (target.prefix !== "" && lower.startsWith("x-forwarded-")) continue;
    lines.push(`${name}: ${withoutTokens(lower, request.rawHeaders[i + 1] as string)}`);
  }
  if (target.prefix !== "") {
    const given = { "x-forwarded-for": request.headers["x-forwarded-for"] ?? [] };
    for (const [name, value] of Object.entries(forwardedBy(request, target, given)))
      lines.push(`${name}: ${[value].flat().join(", ")}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Browsers carry a bearer token as a WebSocket subprotocol, which is for this server alone. */
function withoutTokens(name: string, value: string): string {
  if (name !== "sec-websocket-protocol") return value;
  return value
    .split(",")
    .map((p) => p.trim())
    .filter((p) => !p.startsWith("base64url.bearer.authorization.k8s.io."))
    .join(", ");
}
