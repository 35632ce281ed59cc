import {
  type ClientRequest,
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
import { goErrno } from "#base/goErrors.ts";
import type { Logger } from "#base/log.ts";
import { badRequest, internal, StatusError, unavailable } from "../errors.ts";
import type { ApiServerOptions } from "../options.ts";
import { type Call, type Reply, textReply } from "../rest/call.ts";
import { errorReply, type Handler } from "../rest/handler.ts";
import { parseRequest } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";
import { send } from "./answer.ts";
import { readStart } from "./bounded.ts";
import { type AnyRequest, type AnyResponse, outletOf } from "./exchange.ts";
import { joinSwitched } from "./join.ts";
import { upgradeRefusal } from "./listener.ts";
import { answerHeaders, authority, forwardedHeaders, requestHead } from "./proxy-headers.ts";
import { isProxyable, proxyTarget } from "./proxy-targets.ts";
import { checkMethod, isForwarded, nodeAddress, type Target, targetOf } from "./targets.ts";

/** A connection that is not there after this time is given up, in ms (Go's default dialer). */
const CONNECT_MS = 30_000;
/** So much of a node's error is shown (apiserver/pkg/registry/generic/rest, maxReadLength), in bytes. */
const ERROR_BYTES = 50_000;
/** What this server asks of agents itself is never longer, in bytes. */
const ANSWER_BYTES = 16 << 20;

/** What the proxy works with. */
export interface NodeProxyDeps {
  readonly store: Store;
  readonly handler: Handler;
  readonly log: Logger;
  /** Which addresses pods and endpoints may lead to. Default: those that are no part of this machine. */
  readonly proxyable?: (address: string) => boolean;
}

/**
 * Passes logs, exec, attach, port-forward and proxy requests on: authorised here, then byte for byte to the node's
 * agent, the pod or the Service's endpoint.
 */
export class NodeProxy {
  readonly #deps: NodeProxyDeps;
  readonly #kubelet: ApiServerOptions["kubelet"];
  readonly #nodes: HttpsAgent;
  readonly #plain = new HttpAgent({ keepAlive: true, maxFreeSockets: 8, timeout: 30_000 });

  constructor(deps: NodeProxyDeps, kubelet: ApiServerOptions["kubelet"]) {
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

  /** Asks a node's agent for this server itself. Rejects for errors, for answers above 16 MiB, and after so many ms. */
  async ask(node: string, path: string, timeoutMs: number): Promise<string> {
    const target = { ...nodeAddress(this.#deps.store, node), path, prefix: "" };
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const { host, port } = target;
    const signal = AbortSignal.timeout(timeoutMs);
    const request = httpsRequest({ host, port, path, signal, ...this.#tls(target), agent: this.#nodes }, (answer) => {
      readStart(answer, ANSWER_BYTES).then(({ text, whole }) => {
        if (answer.statusCode !== 200) reject(new Error(text.trim().slice(0, ERROR_BYTES)));
        else if (whole) resolve(text);
        else reject(new Error(`the answer is longer than ${ANSWER_BYTES} bytes`));
      }, reject);
    });
    request.on("error", reject);
    request.end();
    return promise;
  }

  /** Passes on a request whose answer is an ordinary one, logs for example. */
  async forward(call: Call, request: AnyRequest, response: AnyResponse): Promise<void> {
    const reply = (answer: Reply) => send(answer, outletOf(response), call);
    try {
      const target = await this.#admit(call, false);
      // The log of a pod that has no node yet.
      if (!target) await reply(textReply(""));
      else if (target.prefix && !call.url.startsWith(`${target.prefix}/`)) await reply(withSlash(call.url));
      else await this.#exchange(target, request, response as ServerResponse);
    } catch (error) {
      if (response.headersSent) (response as ServerResponse).destroy();
      else await reply(errorReply(asStatus(error)));
    }
  }

  /** Passes on a request that leaves HTTP behind: both connections are joined once the other side has agreed. */
  async upgrade(call: Call, request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    try {
      if (!this.wants(call)) throw new StatusError(400, "BadRequest", "this path does not upgrade connections");
      const target = await this.#admit(call, true);
      if (!target) throw badRequest("a log does not upgrade connections");
      const server = await this.#connect(target, client);
      server.write(requestHead(request, target));
      await joinSwitched(client, server, head);
    } catch (error) {
      client.end(upgradeRefusal(asStatus(error)));
    }
  }

  async #admit(call: Call, upgrading: boolean): Promise<Target | undefined> {
    const { handler, store, proxyable = isProxyable } = this.#deps;
    const { info } = await handler.admit(call);
    checkMethod(info, call.method, upgrading);
    if (info.subresource === "proxy") return proxyTarget(store, info, call.url, proxyable);
    // Since 1.35 a WebSocket, which begins with GET, needs what a POST needs (AuthorizePodWebsocketUpgradeCreatePermission).
    if (upgrading && call.method === "GET") await handler.admit({ ...call, method: "POST" });
    return targetOf(store, info);
  }

  #exchange(target: Target, request: AnyRequest, response: ServerResponse): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const options: RequestOptions = {
      host: target.host,
      port: target.port,
      method: request.method ?? "GET",
      path: target.path,
      headers: { ...forwardedHeaders(request, target), host: authority(target.host, target.port) },
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
    giveUp(out, CONNECT_MS);
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
    return { cert, key, ...(ca ? { ca } : {}), rejectUnauthorized: ca !== undefined && !target.unverified };
  }

  #connect(target: Target, client: Duplex): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const where = { host: target.host, port: target.port };
    const socket =
      target.security === "plain"
        ? tcpConnect({ ...where, noDelay: true, allowHalfOpen: true })
        : tlsConnect({ ...where, ...this.#tls(target), ALPNProtocols: ["http/1.1"] });
    socket.setNoDelay(true);
    const timer = setTimeout(() => socket.destroy(new Error("i/o timeout")), CONNECT_MS);
    socket.once("close", () => clearTimeout(timer));
    socket.once(target.security === "plain" ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
    socket.once("error", (error) => reject(unreachable(target, error)));
    client.once("close", () => socket.destroy());
    return promise;
  }
}

/** Gives a request up that is not connected in time. */
function giveUp(request: ClientRequest, ms: number): void {
  const timer = setTimeout(() => request.destroy(new Error("i/o timeout")), ms);
  const stop = () => clearTimeout(timer);
  request.on("socket", (socket) => {
    if (socket.connecting) socket.once("connect", stop);
    else stop();
  });
  request.on("close", stop);
}

/** Relative references of a proxied page need the slash (apimachinery/pkg/util/proxy, UpgradeAwareHandler). */
function withSlash(url: string): Reply {
  const mark = url.indexOf("?");
  const location = mark < 0 ? `${url}/` : `${url.slice(0, mark)}/${url.slice(mark)}`;
  return { status: 301, headers: { location }, body: "" };
}

/** What stands between this server and a target, in upstream's words for logs, streams and proxies. */
function unreachable(target: Target, error: Error): StatusError {
  const dial = `dial tcp ${authority(target.host, target.port)}: ${connecting(error)}`;
  if (target.prefix !== "") return unavailable(`error trying to reach service: ${dial}`);
  if (!target.errorsAsStatus) return new StatusError(500, "", `error dialing backend: ${dial}`);
  const url = `https://${authority(target.host, target.port)}${target.path}`;
  return new StatusError(500, "", `Get ${JSON.stringify(url)}: ${dial}`);
}

function connecting(error: Error): string {
  const words = goErrno(error);
  return "code" in error && words !== error.message ? `connect: ${words}` : words;
}

/** A node's error as kube-apiserver words it: its text is the message (apiserver/pkg/registry/generic/rest). */
async function answerError(answer: IncomingMessage): Promise<StatusError> {
  const text = (await readStart(answer, ERROR_BYTES)).text.trim();
  if (answer.statusCode === 400) return badRequest(text);
  if (answer.statusCode === 404) return new StatusError(404, "NotFound", text);
  return internal(text);
}

function asStatus(error: unknown): StatusError {
  return error instanceof StatusError ? error : internal(errorMessage(error));
}
