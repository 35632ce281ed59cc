import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { goErrno } from "#base/goErrors.ts";
import { ImageFault } from "../errors.ts";

/** How a registry is spoken to. */
export interface HttpOptions {
  /** Variables that name proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). */
  readonly env: NodeJS.ProcessEnv;
  /** How long a connection, and a silence, may take, in ms. */
  readonly connectMs: number;
  readonly idleMs: number;
}

export const defaultHttpOptions: HttpOptions = { env: process.env, connectMs: 5000, idleMs: 30_000 };

/** A request without a body, or with a form. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Certificates are not checked. */
  readonly insecure: boolean;
  readonly signal?: AbortSignal;
}

/** Errors that mean: nobody is there. Anything else is an answer of some kind. */
const SILENT = new Set([
  ...["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH", "EHOSTDOWN"],
  ...["ETIMEDOUT", "EPIPE", "ENETDOWN", "EADDRNOTAVAIL", "UND_ERR_CONNECT_TIMEOUT", "ERR_PROXY_TUNNEL"],
]);

/** Sends requests; keeps connections. */
export class Http {
  readonly #options: HttpOptions;
  readonly #plain: HttpAgent;
  readonly #tls: HttpsAgent;
  readonly #unchecked: HttpsAgent;

  constructor(options: HttpOptions = defaultHttpOptions) {
    this.#options = options;
    const common = { keepAlive: true, maxSockets: 16, proxyEnv: options.env };
    this.#plain = new HttpAgent(common);
    this.#tls = new HttpsAgent(common);
    this.#unchecked = new HttpsAgent({ ...common, rejectUnauthorized: false });
  }

  /** Closes kept connections. */
  close(): void {
    for (const agent of [this.#plain, this.#tls, this.#unchecked]) agent.destroy();
  }

  /**
   * Sends a request; resolves with the head of the answer, whatever its status.
   * @throws ImageFault "Unreachable" when nobody answers, "Failed" for other failures, in Go's words
   */
  send(request: HttpRequest): Promise<IncomingMessage> {
    const { method, url, headers, body, insecure, signal } = request;
    const secure = url.protocol === "https:";
    const agent = !secure ? this.#plain : insecure ? this.#unchecked : this.#tls;
    const options = { method, headers, agent, ...(signal ? { signal } : {}) };
    return new Promise((resolve, reject) => {
      const sent = (secure ? httpsRequest : httpRequest)(url, options, (answer) => {
        clearTimeout(timer);
        answer.setTimeout(this.#options.idleMs, () => answer.destroy(timeout("the registry has gone silent")));
        resolve(answer);
      });
      const timer = setTimeout(
        () => sent.destroy(timeout(`net/http: request canceled while waiting for connection`)),
        this.#options.connectMs,
      );
      sent.once("socket", (socket) => {
        // Whoever has connected answers in its own time.
        const connected = () => {
          clearTimeout(timer);
          sent.setTimeout(this.#options.idleMs, () =>
            sent.destroy(timeout("net/http: timeout awaiting response headers")),
          );
        };
        if (socket.connecting) socket.once(secure ? "secureConnect" : "connect", connected);
        else connected();
      });
      sent.once("error", (error) => {
        clearTimeout(timer);
        reject(faultOf(error, request));
      });
      sent.end(body);
    });
  }
}

function timeout(words: string): Error {
  return Object.assign(new Error(words), { code: "ETIMEDOUT", told: words });
}

/** A failed request as Go's net/http tells of it, which is what people know from containerd. */
function faultOf(error: Error, { method, url }: HttpRequest): ImageFault {
  const { code = "", told, syscall } = error as NodeJS.ErrnoException & { told?: string };
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const what = `failed to do request: ${verb} "${url.href}"`;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (told !== undefined) return new ImageFault("Unreachable", `${what}: ${told}`, error);
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) {
    const words = code === "ENOTFOUND" ? "no such host" : "server misbehaving";
    return new ImageFault("Unreachable", `${what}: dial tcp: lookup ${url.hostname}: ${words}`, error);
  }
  if (code === "EPROTO" && /wrong version number|packet length too long/.test(error.message))
    return new ImageFault("Failed", `${what}: http: server gave HTTP response to HTTPS client`, error);
  if (SILENT.has(code)) {
    const at =
      syscall === "connect"
        ? `dial tcp ${(error as { address?: string }).address ?? url.hostname}:${port}: connect: `
        : "";
    return new ImageFault("Unreachable", `${what}: ${at}${goErrno(error)}`, error);
  }
  return new ImageFault("Failed", `${what}: ${goErrno(error)}`, error);
}

/**
 * Reads a body to its end.
 * @throws ImageFault "Refused" beyond `max` bytes
 */
export async function readBody(answer: IncomingMessage, max: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > max) {
      answer.destroy();
      throw new ImageFault("Refused", `the registry's answer has more than ${max} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
