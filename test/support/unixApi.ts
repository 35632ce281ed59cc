import { createServer, request as httpRequest, type Server } from "node:http";
import type { ApiRequest, ApiResponse, Transport } from "#api/index.ts";

/** Serves an API transport (the in-memory one of tests) on a unix socket, for another process. */
export async function serveApi(api: Transport, path: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const answer = await api.request({
        method: request.method ?? "GET",
        path: request.url ?? "/",
        headers: request.headers as Record<string, string>,
        signal: gone.signal,
        ...(chunks.length ? { body: Buffer.concat(chunks) } : {}),
      });
      response.writeHead(answer.status, answer.headers);
      response.flushHeaders();
      for await (const chunk of answer.body) response.write(chunk);
      response.end();
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** A transport to such a socket. */
export function unixTransport(path: string): Transport {
  return {
    request: (request: ApiRequest) =>
      new Promise<ApiResponse>((resolve, reject) => {
        const { method, body, signal } = request;
        // Node sends no length with a DELETE by itself.
        const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
        const headers = { ...request.headers, ...length };
        const options = {
          socketPath: path,
          path: request.path,
          method,
          headers,
          agent: false,
          ...(signal ? { signal } : {}),
        };
        const sent = httpRequest(options, (answer) =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers as Record<string, string>, body: answer }),
        );
        sent.on("error", reject);
        sent.end(body);
      }),
    close: async () => {},
  };
}
