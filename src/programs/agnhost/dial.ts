import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect as connectTcp } from "node:net";

/** How long one attempt may take, in ms (agnhost's own). */
const ATTEMPT_MS = 5000;
const MAX_TRIES = 100;

/** Answers to what /dial was asked to send. */
export interface Dialled {
  readonly responses?: readonly string[];
  readonly errors?: readonly string[];
}

/** Sends a request to another pod, several times, by http or udp: /dial of netexec. */
export async function dial(query: URLSearchParams): Promise<Dialled> {
  const [host, port, request] = [
    query.get("host") ?? "",
    Number(query.get("port")),
    query.get("request") ?? "hostname",
  ];
  const tries = Math.min(Math.max(Number(query.get("tries") || 1), 1), MAX_TRIES);
  const udp = query.get("protocol") === "udp";
  const responses: string[] = [];
  const errors: string[] = [];
  for (let i = 0; i < tries; i++) {
    try {
      responses.push(await (udp ? askUdp(host, port, request) : askHttp(host, port, request)));
    } catch (error) {
      errors.push((error as Error).message);
    }
  }
  return { ...(responses.length > 0 ? { responses } : {}), ...(errors.length > 0 ? { errors } : {}) };
}

async function askHttp(host: string, port: number, request: string): Promise<string> {
  const place = host.includes(":") ? `[${host}]` : host;
  const answer = await fetch(`http://${place}:${port}/${request}`, { signal: AbortSignal.timeout(ATTEMPT_MS) });
  return answer.text();
}

async function askUdp(host: string, port: number, request: string): Promise<string> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  try {
    return await new Promise<string>((resolve, reject) => {
      setTimeout(() => reject(new Error("reading from udp connection failed: i/o timeout")), ATTEMPT_MS).unref();
      socket.once("message", (message) => resolve(message.toString()));
      socket.once("error", reject);
      socket.send(request, port, address);
    });
  } finally {
    socket.close();
  }
}

/** What became of a connection: nothing when it came about, else agnhost's word for the failure. */
export type Verdict = undefined | "TIMEOUT" | "REFUSED" | "DNS" | "OTHER";

/** `agnhost connect`: whether a TCP connection comes about. @param timeoutMs 0: as long as it takes */
export async function connect(target: string, timeoutMs: number): Promise<Verdict> {
  const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(target) ?? [];
  const found = await lookup(host).catch(() => undefined);
  if (!found) return "DNS";
  return new Promise((resolve) => {
    const socket = connectTcp({ host: found.address, port: Number(port), timeout: timeoutMs });
    const end = (verdict: Verdict): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.once("connect", () => end(undefined));
    socket.once("timeout", () => end("TIMEOUT"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      end(code === "ECONNREFUSED" ? "REFUSED" : code === "ETIMEDOUT" ? "TIMEOUT" : "OTHER");
    });
  });
}
