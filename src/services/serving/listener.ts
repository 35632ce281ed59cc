import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { errorMessage } from "#base/errors.ts";
import { splitBind } from "../config/index.ts";

/** What is sent back. */
export interface Answer {
  readonly code: number;
  readonly body: string;
  /** Default: text. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a path; undefined: there is no such path. */
export type Answering = (path: string) => Answer | undefined;

/** So many connections a port has at most: probes, balancers and scrapers are few. */
const MAX_CONNECTIONS = 256;

/**
 * A server of plain HTTP that answers GET and HEAD. Nothing that a client sends ends it.
 * @throws the error of listen(2), such as EADDRINUSE
 */
export async function listen(host: string, port: number, answering: Answering): Promise<Server> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000 }, (request, response) => {
    request.resume();
    const { code, body, type, headers } = answerOf(request, answering);
    response.writeHead(code, {
      "content-type": type ?? "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      ...headers,
    });
    response.end(body);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ host, port, ipv6Only: host.includes(":") && host !== "::" });
  await once(server, "listening");
  // Without descriptors (EMFILE) a connection is lost, and no more than that.
  server.on("error", () => {});
  return server;
}

/** What a request gets; never throws. */
function answerOf({ method, url = "/" }: IncomingMessage, answering: Answering): Answer {
  if (method !== "GET" && method !== "HEAD") return notAllowed;
  const path = pathOf(url);
  if (path === undefined) return badRequest;
  try {
    return answering(path) ?? notFound;
  } catch (error) {
    return { code: 500, body: `${errorMessage(error)}\n` };
  }
}

/** The path of a request line's target: its origin form as it stands, or out of its absolute form. */
function pathOf(target: string): string | undefined {
  if (target.startsWith("/")) return target.split("?", 1)[0];
  return URL.canParse(target) ? new URL(target).pathname : undefined;
}

const badRequest: Answer = { code: 400, body: "400 Bad Request\n" };
const notFound: Answer = { code: 404, body: "404 page not found\n" };
const notAllowed: Answer = { code: 405, body: "Method Not Allowed\n" };

/** Ends a server with its connections. */
export async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

/** How a port is kept. */
export interface KeepOptions {
  /** `IP:port`. */
  readonly bind: string;
  readonly answering: Answering;
  readonly signal: AbortSignal;
  /** Told each failure to listen. @returns true: try again in a while */
  failed(message: string): boolean;
  /** Told where it listens. */
  serving?(address: AddressInfo): void;
}

/** Between attempts to listen, in ms; upstream's. */
const RETRY_MS = 5000;

/** Listens, and tries again when the port is taken, until the signal. Resolves when the port is closed. */
export async function keepListening({ bind, answering, signal, failed, serving }: KeepOptions): Promise<void> {
  const { host = "127.0.0.1", port = 0 } = splitBind(bind) ?? {};
  const aborted = signal.aborted ? Promise.resolve() : once(signal, "abort");
  while (!signal.aborted) {
    try {
      const server = await listen(host, port, answering);
      serving?.(server.address() as AddressInfo);
      await aborted;
      await close(server);
    } catch (error) {
      if (!failed(errorMessage(error))) return;
      const pause = new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      await Promise.race([aborted, pause]);
    }
  }
}
