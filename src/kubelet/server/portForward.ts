import { type Duplex, finished } from "node:stream";
import { errorMessage } from "#base/errors.ts";
import type { SpdyStream } from "#wire/spdy/index.ts";
import type { PodDialer } from "./dial.ts";

/** Protocol of port-forward over SPDY. */
export const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";
/** Both streams of a connection have to be there within this time, in ms (upstream: streamCreationTimeout). */
const PAIR_MS = 30_000;

/** The pod that is forwarded to. */
export interface ForwardedPod {
  /** As upstream's texts name it: the sandbox's id. */
  readonly id: string;
  readonly dial: PodDialer;
}

/** What failed, as it goes over the error stream. */
export function forwardFailure(pod: string, port: number, error: unknown): string {
  return `error forwarding port ${port} to pod ${pod}, uid : ${errorMessage(error)}`;
}

/** The two streams of one connection. */
interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
  timer: NodeJS.Timeout;
}

/**
 * The connections of one port-forward over SPDY. For each the client opens a stream for errors and one for data, with
 * headers `streamtype`, `port` and `requestid`, which says what belongs together.
 */
export class PortForwards {
  readonly #pod: ForwardedPod;
  readonly #pairs = new Map<string, Pair>();

  constructor(pod: ForwardedPod) {
    this.#pod = pod;
  }

  /** Takes a stream that the client opened. */
  add(stream: SpdyStream): void {
    const fault = streamFault(stream);
    const type = stream.headers["streamtype"] === "error" ? "error" : "data";
    const id = requestId(stream, type);
    const pair = this.#pairs.get(id) ?? this.#begin(id);
    if (fault !== undefined || pair[type]) {
      // As upstream: such a stream is reset, and what goes with it waits in vain.
      stream.reset();
      return;
    }
    pair[type] = stream.accept();
    stream.on("error", () => stream.destroy());
    const { data, error } = pair;
    if (!data || !error) return;
    clearTimeout(pair.timer);
    this.#pairs.delete(id);
    void this.#forward(data, error);
  }

  /** Forgets what waits: the client is gone. */
  close(): void {
    for (const { timer } of this.#pairs.values()) clearTimeout(timer);
    this.#pairs.clear();
  }

  #begin(id: string): Pair {
    const timer = setTimeout(() => {
      this.#pairs.delete(id);
      pair.error?.end(`(request=${id}) timed out waiting for streams`);
      pair.data?.reset();
    }, PAIR_MS);
    const pair: Pair = { timer };
    this.#pairs.set(id, pair);
    return pair;
  }

  async #forward(data: SpdyStream, error: SpdyStream): Promise<void> {
    const port = Number(data.headers["port"]);
    // Clients send nothing on it.
    error.resume();
    try {
      const socket = await this.#pod.dial(port);
      await joinHalves(data, socket);
      error.end();
    } catch (cause) {
      error.end(forwardFailure(this.#pod.id, port, cause));
      data.end();
      data.resume();
    }
  }
}

/** What upstream's kubelet refuses a stream for. */
function streamFault({ headers }: SpdyStream): string | undefined {
  const { port, streamtype: type } = headers;
  if (!port) return '"port" header is required';
  if (!/^\d+$/.test(port) || Number(port) > 65535) return `unable to parse ${JSON.stringify(port)} as a port`;
  if (Number(port) < 1) return `port ${JSON.stringify(port)} must be > 0`;
  if (!type) return '"streamType" header is required';
  return type === "error" || type === "data" ? undefined : `invalid stream type ${JSON.stringify(type)}`;
}

/** Clients of before 1.2 name no connection: they open the error stream, then the data stream, one after the other. */
function requestId(stream: SpdyStream, type: "data" | "error"): string {
  return stream.headers["requestid"] ?? `stream ${type === "error" ? stream.id : stream.id - 2}`;
}

/**
 * Copies both ways, with back-pressure; each direction ends on its own. Resolves when both have ended, or one side is
 * gone altogether.
 */
export function joinHalves(client: Duplex, socket: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => {
    client.destroy();
    socket.destroy();
    resolve();
  };
  client.on("error", end);
  socket.on("error", end);
  client.pipe(socket);
  socket.pipe(client);
  let open = 2;
  for (const side of [client, socket]) {
    finished(side, (error) => {
      if (error || --open === 0) end();
    });
  }
  return promise;
}
