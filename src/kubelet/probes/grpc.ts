import { type ClientHttp2Session, connect } from "node:http2";
import type { Attempt } from "./attempt.ts";

/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING = 1;
/** Status codes of gRPC. */
const UNIMPLEMENTED = "12";
const DEADLINE_EXCEEDED = "4";
/** A health answer is a few bytes; more than this is none. */
const MAX_ANSWER = 4096;
const HEADER = 5;

/** A HealthCheckRequest {service = 1} as a gRPC message: flag, length, protobuf. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  // Names of services are short: their length takes one byte up to 127, two up to 16,383.
  const size = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const body = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0a, ...size), name]);
  const head = Buffer.alloc(HEADER);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The status in a HealthCheckResponse {status = 1}; 0 when it names none. */
export function healthStatus(message: Buffer): number {
  const body = message.subarray(HEADER);
  return body[0] === 0x08 ? (body[1] ?? 0) : 0;
}

interface Answer {
  readonly code: string;
  readonly text: string;
  readonly body: Buffer;
}

/** Text of a gRPC status; one that is not encoded as it should be is shown as it came. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function ask(session: ClientHttp2Session, service: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      "user-agent": "kube-probe/1.36",
      te: "trailers",
    });
    let body = Buffer.alloc(0);
    let told: Record<string, unknown> = {};
    stream.on("response", (headers) => (told = { ...told, ...headers }));
    stream.on("trailers", (headers) => (told = { ...told, ...headers }));
    stream.on("data", (chunk: Buffer) => {
      if (body.length + chunk.length <= MAX_ANSWER) body = Buffer.concat([body, chunk]);
    });
    stream.on("error", reject);
    stream.on("end", () => {
      const text = percentDecoded(String(told["grpc-message"] ?? ""));
      resolve({ code: String(told["grpc-status"] ?? ""), text, body });
    });
    stream.end(healthRequest(service));
  });
}

function judge({ code, text, body }: Answer, timeout: string): Attempt {
  if (code === UNIMPLEMENTED) {
    const message = `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${text}`;
    return { success: false, message };
  }
  if (code === DEADLINE_EXCEEDED)
    return { success: false, message: `timeout: health rpc did not complete within ${timeout}: ${text}` };
  if (code !== "0") return { success: false, message: `error: health rpc probe failed: ${text}` };
  const status = healthStatus(body);
  if (status === SERVING) return { success: true, message: "" };
  return { success: false, message: `service unhealthy (responded with "${STATUSES[status] ?? status}")` };
}

/**
 * Asks a server for its health as gRPC's protocol for it says (grpc.health.v1), without TLS, as upstream does.
 * @param address host and port, an IPv6 address in brackets
 */
export function grpcAttempt(address: string, service: string, timeoutMs: number): Promise<Attempt> {
  const timeout = `${timeoutMs / 1000}s`;
  const session = connect(`http://${address}`);
  return new Promise<Attempt>((resolve) => {
    let isConnected = false;
    const late = setTimeout(() => {
      const message = isConnected
        ? `timeout: health rpc did not complete within ${timeout}: context deadline exceeded`
        : `timeout: failed to connect service "${address}" within ${timeout}: context deadline exceeded`;
      resolve({ success: false, message });
    }, timeoutMs);
    const fail = (error: Error) => {
      // As upstream's client, which tries to connect until the time is over, but without the wait.
      const message = isConnected
        ? `error: health rpc probe failed: ${error.message}`
        : `timeout: failed to connect service "${address}" within ${timeout}: context deadline exceeded`;
      clearTimeout(late);
      resolve({ success: false, message });
    };
    session.on("error", fail);
    session.on("connect", () => {
      isConnected = true;
      ask(session, service).then((answer) => {
        clearTimeout(late);
        resolve(judge(answer, timeout));
      }, fail);
    });
  }).finally(() => session.destroy());
}
