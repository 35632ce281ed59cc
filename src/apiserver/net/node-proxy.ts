import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { type Socket, connect as tcpConnect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { badRequest, internal, StatusError, unavailable } from "../errors.ts";
import type { ApiServerOptions } from "../options.ts";
import type { Call } from "../rest/call.ts";
import { errorReply, type Handler } from "../rest/handler.ts";
import { parseRequest, type RequestInfo } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";
import { type AnyRequest, type AnyResponse, send, upgradeRefusal } from "./listener.ts";
import { checkMethod, isForwarded, type Target, targetOf } from "./targets.ts";

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
  "proxy-authorization",
  "proxy-connection",
]);

/**
 * Passes logs, exec, attach, port-forward and proxy requests on: authorised here, then byte for byte to the node's
 * agent, the pod or the Service's endpoint.
 */
export class NodeProxy {
  readonly #deps: { readonly store: Store; readonly handler: Handler; readonly log: Logger };
  readonly #kubelet: ApiServerOptions["kubelet"];
  readonly #nodes: HttpsAgent;
  readonly #plain = new HttpAgent({ keepAlive: true, maxFreeSockets: 8, timeout: 30_000 });

  constructor(
    deps: { readonly store: Store; readonly handler: Handler; readonly log: Logger },
    kubelet: ApiServerOptions["kubelet"],
  ) {
    this.#deps = deps;
    this.#kubelet = kubelet;
    this.#nodes = new HttpsAgent({ keepAlive: true, maxFreeSockets: 8, timeout: 30_000 });
  }

  /** Whether a request is for here. */
  wants(call: Call): boolean {
    if (!/\/(log|exec|attach|portforward|proxy)(\/|\?|$)/.test(call.url)) return false;
    try {
      return isForwarded(parseRequest(call.method, call.url));
    } catch {
      return false;
    }
  }

  /** Closes idle connections. */
  close(): void {
    this.#nodes.destroy();
    this.#plain.destroy();
  }

  /** Passes on a request whose answer is an ordinary one, logs for example. */
  async forward(call: Call, request: AnyRequest, response: AnyResponse): Promise<void> {
    try {
      const target = this.#admit(call, false);
      await this.#exchange(target, request, response as ServerResponse);
    } catch (error) {
      if (response.headersSent) (response as ServerResponse).destroy();
      else await send(errorReply(asStatus(error)), response, call.method, new AbortController().signal);
    }
  }

  /** Passes on a request that leaves HTTP behind: both connections are joined. */
  async upgrade(call: Call, request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    try {
      if (!this.wants(call)) throw new StatusError(400, "BadRequest", "this path does not upgrade connections");
      const target = this.#admit(call, true);
      const server = await this.#connect(target, client);
      server.write(requestHead(request, target));
      if (head.length > 0) server.write(head);
      join(client, server);
    } catch (error) {
      client.end(upgradeRefusal(asStatus(error)));
    }
  }

  #admit(call: Call, upgrading: boolean): Target {
    const { info } = this.#deps.handler.admit(call) as { info: RequestInfo };
    checkMethod(info, call.method, upgrading);
    return targetOf(this.#deps.store, info);
  }

  #exchange(target: Target, request: AnyRequest, response: ServerResponse): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const options: RequestOptions = {
      host: target.host,
      port: target.port,
      method: request.method ?? "GET",
      path: target.path,
      headers: { ...forwardedHeaders(request), host: `${target.host}:${target.port}` },
    };
    const onAnswer = (answer: IncomingMessage) => {
      if (target.errorsAsStatus && (answer.statusCode ?? 500) >= 300) {
        void answerError(answer).then(reject, reject);
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answerHeaders(answer, target));
      response.flushHeaders();
      answer.pipe(response);
      answer.on("error", reject);
      answer.on("end", resolve);
    };
    const out =
      target.security === "plain"
        ? httpRequest({ ...options, agent: this.#plain }, onAnswer)
        : httpsRequest({ ...options, ...this.#tls(target), agent: this.#nodes }, onAnswer);
    out.on("error", (error) => reject(unreachable(target, error)));
    response.on("close", () => {
      out.destroy();
      resolve();
    });
    (request as IncomingMessage).pipe(out);
    return promise;
  }

  /** Certificate and trust for a target. */
  #tls(target: Target): { cert?: string; key?: string; ca?: string; rejectUnauthorized: boolean } {
    if (target.security !== "node") return { rejectUnauthorized: false };
    if (!this.#kubelet)
      throw unavailable("no client certificate for node agents is configured (--kubelet-client-certificate)");
    const { cert, key, ca } = this.#kubelet;
    // As kube-apiserver: without --kubelet-certificate-authority the node's serving certificate is not checked.
    return { cert, key, ...(ca ? { ca } : {}), rejectUnauthorized: ca !== undefined };
  }

  #connect(target: Target, client: Duplex): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const where = { host: target.host, port: target.port };
    const socket =
      target.security === "plain"
        ? tcpConnect({ ...where, noDelay: true })
        : tlsConnect({ ...where, ...this.#tls(target), ALPNProtocols: ["http/1.1"] });
    socket.setNoDelay(true);
    socket.once(target.security === "plain" ? "connect" : "secureConnect", () => resolve(socket));
    socket.once("error", (error) => reject(unreachable(target, error)));
    client.once("close", () => socket.destroy());
    return promise;
  }
}

/** Copies both ways with back-pressure; half-closed stays half-closed, an error ends both. */
function join(a: Duplex, b: Duplex): void {
  a.pipe(b);
  b.pipe(a);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}

function unreachable(target: Target, error: Error): StatusError {
  return internal(`error trying to reach service: dial tcp ${target.host}:${target.port}: ${errorMessage(error)}`);
}

/** A node's error as kube-apiserver words it: its text is the message (apiserver/pkg/registry/generic/rest). */
async function answerError(answer: IncomingMessage): Promise<StatusError> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString().trim();
  if (answer.statusCode === 400) return badRequest(text);
  if (answer.statusCode === 404) return new StatusError(404, "NotFound", text);
  return internal(text);
}

function asStatus(error: unknown): StatusError {
  return error instanceof StatusError ? error : internal(errorMessage(error));
}

function forwardedHeaders(request: AnyRequest): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && !name.startsWith(":") && !dropped.has(name) && !name.startsWith("impersonate-"))
      out[name] = value;
  }
  return out;
}

/** Headers of one connection stay here; a redirect is put under the path that the client knows. */
function answerHeaders(answer: IncomingMessage, target: Target): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(answer.headers))
    if (value !== undefined && !dropped.has(name)) out[name] = value;
  const location = answer.headers.location;
  if (location?.startsWith("/") && target.prefix) out.location = `${target.prefix}${location}`;
  return out;
}

/** The request as it goes to the target: its own path and host, the client's upgrade headers, no credentials. */
function requestHead(request: IncomingMessage, target: Target): string {
  const lines = [`${request.method} ${target.path} HTTP/1.1`, `Host: ${target.host}:${target.port}`];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] as string;
    const lower = name.toLowerCase();
    if (lower === "host" || lower === "authorization" || lower.startsWith("impersonate-")) continue;
    lines.push(`${name}: ${withoutTokens(lower, request.rawHeaders[i + 1] as string)}`);
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
