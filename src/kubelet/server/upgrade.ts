import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { errorMessage } from "#base/errors.ts";
import { SpdySession, type SpdyStream } from "#wire/spdy/index.ts";
import { RequestError } from "./requests.ts";

/** Values of headers that may come several times and hold lists. */
export function headerList(request: IncomingMessage, name: string): string[] {
  const values = request.headersDistinct[name] ?? [];
  return values
    .flatMap((value) => value.split(","))
    .map((value) => value.trim())
    .filter((value) => value !== "");
}

/** What a request wants its connection to become. @throws RequestError for anything but WebSocket and SPDY/3.1 */
export function upgradeKind(request: IncomingMessage): "websocket" | "spdy" {
  const wanted = request.headers.upgrade?.toLowerCase() ?? "";
  if (wanted === "websocket") return "websocket";
  if (wanted.includes("spdy/3.1")) return "spdy";
  throw new RequestError(400, `unable to upgrade: missing upgrade headers in request: ${JSON.stringify(wanted)}`);
}

/**
 * The protocol over SPDY that client and server both know (k8s.io/streaming's Handshake).
 * @throws RequestError in upstream's words
 */
export function negotiate(request: IncomingMessage, known: readonly string[]): string {
  const offered = headerList(request, "x-stream-protocol-version");
  if (offered.length === 0) throw new RequestError(400, "unable to upgrade: X-Stream-Protocol-Version is required");
  const chosen = known.find((protocol) => offered.includes(protocol));
  if (chosen !== undefined) return chosen;
  const message = `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${known.join(" ")}]`;
  throw new RequestError(403, message, { "X-Accepted-Stream-Protocol-Versions": known.join(", ") });
}

/** Answers 101 and speaks SPDY from then on. */
export function beginSpdy(
  socket: Duplex,
  head: Buffer,
  protocol: string,
  onStream: (stream: SpdyStream) => void,
): SpdySession {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return new SpdySession(socket, { side: "server", onStream });
}

/** What a failure says over HTTP. */
export function failure(error: unknown): Pick<RequestError, "status" | "message" | "headers"> {
  return error instanceof RequestError ? error : { status: 500, message: errorMessage(error), headers: {} };
}

/** Answers a request for an upgrade with an error, and ends the connection. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status, message, headers } = failure(error);
  const body = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "content-type: text/plain; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
