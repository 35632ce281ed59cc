import { chmodSync, closeSync, openSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { type ImageRequest, MAX_REQUEST } from "./protocol.ts";
import type { Pulls } from "./pulls.ts";

/** Name of the socket in its folder. */
export const SOCKET_NAME = "images.sock";

/** Serves a cluster's nodes on a unix socket. */
export class ImageServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /**
   * Begins to listen.
   * @param folder the cluster's own: whoever can enter it may ask
   */
  static async listen(folder: string, pulls: Pulls): Promise<ImageServer> {
    const server = createServer((request, response) => {
      serve(request, response, pulls).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(400, { "content-type": "text/plain" });
        response.end(`${(error as Error).message}\n`);
      });
    });
    server.requestTimeout = 0;
    server.maxConnections = 1024;
    const path = join(folder, SOCKET_NAME);
    rmSync(path, { force: true });
    // A socket's name has 107 bytes at most; the folder's may have more.
    const fd = openSync(folder, "r");
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(`/proc/self/fd/${fd}/${SOCKET_NAME}`, resolve);
      });
    } finally {
      closeSync(fd);
    }
    // The ids of a cluster are others than ours; the folder keeps everybody else out.
    chmodSync(path, 0o666);
    return new ImageServer(server);
  }

  /** Lets go of all connections. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function serve(request: IncomingMessage, response: ServerResponse, pulls: Pulls): Promise<void> {
  const what = `${request.method} ${request.url}`;
  if (what === "GET /v1/state") return send(response, pulls.state());
  if (what !== "POST /v1/pull") throw new Error(`there is GET /v1/state and POST /v1/pull, not ${what}`);
  const left = new AbortController();
  response.once("close", () => left.abort());
  return send(response, await pulls.answer(await readRequest(request), left.signal));
}

function send(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

async function readRequest(request: IncomingMessage): Promise<ImageRequest> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_REQUEST) throw new Error(`a request has at most ${MAX_REQUEST} bytes`);
    chunks.push(chunk);
  }
  const value = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Partial<ImageRequest> | null;
  const { image, policy, keyring } = value ?? {};
  if (typeof image !== "string" || !policy || !["Always", "IfNotPresent", "Never"].includes(policy))
    throw new Error("a request names an image and a policy");
  const entries = Array.isArray(keyring?.entries) ? keyring.entries : [];
  return { image, policy, keyring: { entries } };
}
