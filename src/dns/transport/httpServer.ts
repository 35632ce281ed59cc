import { createServer, type Server } from "node:http";
import type { HttpAnswer } from "../core/index.ts";

/** An open HTTP listener. */
export interface Endpoint {
  readonly server: Server;
  /** Handlers by path; the last one answers. */
  readonly paths: Map<string, (() => HttpAnswer)[]>;
}

/**
 * Opens a listener on `host:port`. The import of node:http is static on purpose: a dynamic import of it makes Node load
 * all that hangs on it (fetch, HTTP/2), 10 ms and 4 MB.
 * @throws the bind error
 */
export async function openEndpoint(address: string): Promise<Endpoint> {
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
      // Without descriptors (EMFILE) a connection is lost, and no more than that.
      server.on("error", () => {});
      resolve();
    });
  });
  return { server, paths };
}
