import type { HttpAnswer, HttpEndpoints } from "../core/index.ts";
import type { Endpoint } from "./httpServer.ts";

/** HTTP listeners for health, ready and metrics, opened with their first path and closed with the last. */
export class HttpListeners implements HttpEndpoints {
  readonly #endpoints = new Map<string, Promise<Endpoint>>();

  async serve(address: string, path: string, handler: () => HttpAnswer): Promise<() => Promise<void>> {
    let opening = this.#endpoints.get(address);
    if (!opening) {
      // A server without such endpoints does not pay for an HTTP server.
      opening = import("./httpServer.ts").then(({ openEndpoint }) => openEndpoint(address));
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
