import { createServer, type Server } from "node:http";
import type { Metrics } from "#base/metrics.ts";

/** Serves `/healthz` (and `/ready`, the same) for probes: 200 "ok" or 500; and `/metrics`. */
export async function serveHealth(port: number, metrics: Metrics, isHealthy: () => boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/metrics") {
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(metrics.text());
      return;
    }
    if (path !== "/healthz" && path !== "/ready") {
      response.writeHead(404).end("404 page not found\n");
      return;
    }
    const ok = isHealthy();
    response.writeHead(ok ? 200 : 500, { "content-type": "text/plain" }).end(ok ? "ok" : "nginx is not configured yet");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, () => resolve());
  });
  return server;
}
