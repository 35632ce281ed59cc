import { createServer, type Server } from "node:https";
import type { Logger } from "#base/log.ts";

/** Ports of kube-controller-manager and kube-scheduler (kubernetes.io/docs/reference/networking/ports-and-protocols). */
const PORTS = { "kube-controller-manager": 10257, "kube-scheduler": 10259 } as const;

/** Says whether all is well, and what not. */
export type Health = () => { readonly ok: boolean; readonly text: string };

/**
 * Answers /healthz, /livez and /readyz at the ports of the controllers and the scheduler, on loopback as kubeadm sets
 * them up, although they run in the API server's process.
 * @returns closes the ports
 */
export function serveHealth(
  tls: { readonly cert: string; readonly key: string },
  health: Health,
  log: Logger,
): () => void {
  const servers = Object.entries(PORTS).map(([name, port]): Server => {
    const server = createServer(tls, (request, response) => {
      const known = ["/healthz", "/livez", "/readyz"].includes(request.url?.split("?")[0] ?? "");
      const { ok, text } = known ? health() : { ok: false, text: "404 page not found" };
      response.writeHead(known ? (ok ? 200 : 500) : 404, { "content-type": "text/plain; charset=utf-8" });
      response.end(text);
    });
    server.on("error", (error) => log.warn("A health port is not served", { name, port, error }));
    server.listen(port, "127.0.0.1");
    return server;
  });
  return () => {
    for (const server of servers) server.close();
  };
}
