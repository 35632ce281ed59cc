import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { kubernetesVersion } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Access } from "./metrics-access.ts";

/** Ports of kube-controller-manager and kube-scheduler (kubernetes.io/docs/reference/networking/ports-and-protocols). */
const PORTS = { "kube-controller-manager": 10257, "kube-scheduler": 10259 } as const;

/** A program that is part of this process. */
export type Part = keyof typeof PORTS;

/** Says whether all is well, and what not. */
export type Health = () => { readonly ok: boolean; readonly text: string };

/** What the ports answer with. */
export interface HealthDeps {
  readonly log: Logger;
  readonly health: Health;
  /** Whether the bearer of a token, or nobody, may read the metrics. */
  mayRead(token: string | undefined): Promise<Access>;
  metrics(part: Part): string;
}

/**
 * Answers /healthz, /livez, /readyz and /metrics at the ports of the controllers and the scheduler, on loopback as
 * kubeadm sets them up, although they run in the API server's process.
 * @param ports others than upstream's; 0 takes a free one
 * @returns closes the ports with their connections, and waits for that
 */
export function serveHealth(
  tls: { readonly cert: string; readonly key: string },
  deps: HealthDeps,
  ports: Readonly<Record<Part, number>> = PORTS,
): () => Promise<void> {
  const servers = Object.entries(ports).map(([name, port]): Server => {
    const server = createServer(tls, (request, response) => {
      answer(name as Part, request, response, deps).catch((error: unknown) => {
        deps.log.warn("A request at a health port failed", { name, error: errorMessage(error) });
        response.writeHead(500, plain).end("internal error");
      });
    });
    server.on("error", (error) => deps.log.warn("A health port is not served", { name, port, error }));
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(port, "127.0.0.1");
    return server;
  });
  return async () => {
    await Promise.all(servers.map(close));
  };
}

function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  return closed;
}

/** So many connections a health port has at most: probes and scrapers are few. */
const MAX_CONNECTIONS = 64;

const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };

/** Answers one request. */
export async function answer(
  part: Part,
  request: Pick<IncomingMessage, "url" | "headers">,
  response: Pick<ServerResponse, "writeHead" | "end">,
  deps: Omit<HealthDeps, "log">,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "https://localhost");
  const send = (code: number, text: string, headers: Record<string, string> = plain) => {
    response.writeHead(code, headers);
    response.end(text);
  };
  const name = pathname.slice(1);
  if (["healthz", "livez", "readyz"].includes(name)) {
    const { ok, text } = deps.health();
    return send(ok ? 200 : 500, ok && searchParams.has("verbose") ? verboseText(name) : text);
  }
  if (pathname !== "/metrics") return send(404, "404 page not found\n");
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  const access = await deps.mayRead(token);
  if (access.ok)
    return send(200, deps.metrics(part) + processMetrics(), {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  const { code, message } = access;
  const reason = code === 401 ? "Unauthorized" : "Forbidden";
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  send(code, JSON.stringify(status), { "content-type": "application/json" });
}

function verboseText(name: string): string {
  return `[+]ping ok\n[+]informer-sync ok\n${name} check passed\n`;
}

/** What every program of upstream says of itself. */
function processMetrics(): string {
  const [major = "", minor = ""] = kubernetesVersion.replace(/^v/, "").split(".");
  const { user, system } = process.cpuUsage();
  const values: readonly [name: string, help: string, type: string, labels: string, value: number][] = [
    [
      "kubernetes_build_info",
      "A metric with a constant '1' value labeled by the version whose behaviour is followed.",
      "gauge",
      `{git_version="${kubernetesVersion}",major="${major}",minor="${minor}"}`,
      1,
    ],
    [
      "process_cpu_seconds_total",
      "Total user and system CPU time spent in seconds.",
      "counter",
      "",
      (user + system) / 1e6,
    ],
    ["process_resident_memory_bytes", "Resident memory size in bytes.", "gauge", "", process.memoryUsage.rss()],
    [
      "process_start_time_seconds",
      "Start time of the process since unix epoch in seconds.",
      "gauge",
      "",
      Math.floor(Date.now() / 1000 - process.uptime()),
    ],
  ];
  return values
    .map(
      ([name, help, type, labels, value]) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}${labels} ${value}\n`,
    )
    .join("");
}
