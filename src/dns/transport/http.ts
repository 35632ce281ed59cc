import type { Server } from "node:http";
import type { HttpAnswer, HttpEndpoints } from "../core/index.ts";

interface Endpoint {
  readonly server: Server;
  /** Handlers by path; the last one answers. */
  readonly paths: Map<string, (() => HttpAnswer)[]>;
}

/** HTTP listeners for health, ready and metrics, opened with their first path and closed with the last. */
export class HttpListeners implements HttpEndpoints {
  readonly #endpoints = new Map<string, Promise<Endpoint>>();

  async serve(address: string, path: string, handler: () => HttpAnswer): Promise<() => Promise<void>> {
    let opening = this.#endpoints.get(address);
    if (!opening) {
      opening = open(address);
      this.#endpoints.set(address, opening);
      opening.catch(() => this.#endpoints.delete(address));
    }
    const { paths, server } = await opening;
    const handlers = paths.get(path) ?? [];
    paths.set(path, [...handlers, handler]);
    return async () => {
      const left = (paths.get(path) ?? []).filter((other) => other !== handler);
      if (left.length > 0) paths.set(path, left);
      else paths.delete(path);
      if (paths.size > 0 || !this.#endpoints.delete(address)) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    };
  }
}

async function open(address: string): Promise<Endpoint> {
  const { createServer } = await import("node:http");
  const paths: Endpoint["paths"] = new Map();
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?")[0] as string;
    const handler = paths.get(path)?.at(-1);
    const answer: HttpAnswer = handler?.() ?? { status: 404, body: "404 page not found\n" };
    response.writeHead(answer.status, { "content-type": answer.contentType ?? "text/plain; charset=utf-8" });
    response.end(answer.body);
  });
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    // Without a host Node listens on :: for both families, and on 0.0.0.0 where there is no IPv6.
    server.listen({ port: Number(address.slice(colon + 1)), ...(host && { host }) }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  return { server, paths };
}
