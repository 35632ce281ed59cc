import { connect } from "node:net";
import type { Container, IntOrString, Probe } from "#api/index.ts";
import { errorMessage, hasCode } from "#base/errors.ts";
import { grpcAttempt } from "./grpc.ts";
import { httpProbe } from "./http.ts";

const MAX_PORT = 65_535;

/** Outcome of one attempt; the message is what upstream's events say. */
export interface Attempt {
  readonly success: boolean;
  readonly message: string;
  /** The attempt itself went wrong, which says nothing about the container: the state that upstream's event names. */
  readonly errored?: "unknown" | "failure";
}

/** How attempts reach the container. */
export interface ProbeTarget {
  readonly podIP: string;
  readonly container: Container;
  /** Runs a command inside; gives its exit code and the beginning of its output. */
  readonly exec: (command: readonly string[], timeoutMs: number) => Promise<{ exitCode: number; output: string }>;
}

/**
 * Number of a port that may be a name.
 * @throws Error in upstream's words (those of Go's Atoi) when no port of the container has the name, or is none
 */
export function portNumber(port: IntOrString, container: Container): number {
  const named = container.ports?.find((p) => p.name === port)?.containerPort;
  if (named === undefined && !/^[+-]?\d+$/.test(String(port)))
    throw new Error(`strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`);
  const number = named ?? Number(port);
  if (number < 1 || number > MAX_PORT) throw new Error(`invalid port number: ${number}`);
  return number;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** What Go says of a failed dial; users search for these texts. */
function dialError(error: unknown, address: string): string {
  const reasons: Record<string, string> = {
    ECONNREFUSED: "connection refused",
    EHOSTUNREACH: "no route to host",
    ENETUNREACH: "network is unreachable",
    ETIMEDOUT: "i/o timeout",
  };
  const code = Object.keys(reasons).find((c) => hasCode(error, c));
  return code ? `dial tcp ${address}: connect: ${reasons[code]}` : errorMessage(error);
}

function httpAttempt(get: NonNullable<Probe["httpGet"]>, target: ProbeTarget, timeoutMs: number): Promise<Attempt> {
  const host = get.host ?? target.podIP;
  const address = `${bracketed(host)}:${portNumber(get.port, target.container)}`;
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const headers: Record<string, string> = { "user-agent": "kube-probe/1.36", accept: "*/*" };
  for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const url = `${get.scheme === "HTTPS" ? "https" : "http"}://${address}${path}`;
  return httpProbe(url, headers, timeoutMs, (error) => dialError(error, address));
}

function tcpAttempt(probe: NonNullable<Probe["tcpSocket"]>, target: ProbeTarget, timeoutMs: number): Promise<Attempt> {
  const host = probe.host ?? target.podIP;
  const port = portNumber(probe.port, target.container);
  const address = `${bracketed(host)}:${port}`;
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const finish = (attempt: Attempt) => {
      resolve(attempt);
      socket.destroy();
    };
    socket.on("connect", () => finish({ success: true, message: "" }));
    socket.on("timeout", () => finish({ success: false, message: `dial tcp ${address}: i/o timeout` }));
    socket.on("error", (error) => finish({ success: false, message: dialError(error, address) }));
  });
}

/** Probes once. Never rejects: what goes wrong is the outcome. */
export async function attempt(probe: Probe, target: ProbeTarget, timeoutMs: number): Promise<Attempt> {
  try {
    if (probe.httpGet) return await httpAttempt(probe.httpGet, target, timeoutMs);
    if (probe.tcpSocket) return await tcpAttempt(probe.tcpSocket, target, timeoutMs);
    if (probe.exec) {
      const { exitCode, output } = await target.exec(probe.exec.command ?? [], timeoutMs);
      return { success: exitCode === 0, message: exitCode === 0 ? "" : output };
    }
    if (probe.grpc) {
      const { port, service = "" } = probe.grpc;
      return await grpcAttempt(`${bracketed(target.podIP)}:${port}`, service, timeoutMs);
    }
    throw new Error("missing probe handler");
  } catch (error) {
    return { success: false, message: errorMessage(error), errored: "unknown" };
  }
}
