import { Agent, request } from "node:http";

const FIRST_DELAY_MS = 5;
const MAX_DELAY_MS = 100;

/** The status of one GET, or undefined when there was no answer. */
function get(port: number, path: string, host: string, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve) => {
    const req = request(
      // An agent of our own asks no proxy, whatever the environment says (NODE_USE_ENV_PROXY).
      {
        host: "127.0.0.1",
        port,
        path,
        headers: { host, connection: "close" },
        signal,
        timeout: 2000,
        agent: new Agent(),
      },
      (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
        response.once("error", () => resolve(undefined));
      },
    );
    req.on("error", () => resolve(undefined));
    req.on("timeout", () => req.destroy());
    req.end();
  });
}

/**
 * Asks until an address answers 200: at first every few milliseconds, since nobody tells the host when nginx in its
 * pod begins to listen.
 * @returns the time of the answer (performance.now())
 */
export async function firstAnswer(port: number, path: string, host: string, signal: AbortSignal): Promise<number> {
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(delay * 1.5, MAX_DELAY_MS)) {
    if ((await get(port, path, host, signal)) === 200) return performance.now();
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}
