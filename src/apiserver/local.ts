import type { ApiRequest, ApiResponse, Transport } from "#api/index.ts";
import type { User } from "./kinds/definition.ts";
import type { Call, Reply, Sink } from "./rest/call.ts";
import type { Handler } from "./rest/handler.ts";

/** The API as function calls, for controllers in the server's own process. */
export class LocalTransport implements Transport {
  readonly #handler: Handler;
  readonly #user: User;
  readonly #closing = new AbortController();

  constructor(handler: Handler, user: User) {
    this.#handler = handler;
    this.#user = user;
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    const signal = request.signal ? AbortSignal.any([request.signal, this.#closing.signal]) : this.#closing.signal;
    signal.throwIfAborted();
    const body = typeof request.body === "string" ? Buffer.from(request.body) : Buffer.from(request.body ?? []);
    const call: Call = {
      method: request.method,
      url: request.path,
      headers: request.headers ?? {},
      body: () => Promise.resolve(body),
      signal,
      user: this.#user,
    };
    const reply = await this.#handler.handle(call);
    return {
      status: reply.status,
      headers: reply.headers,
      body: reply.stream ? streamed(reply, signal) : whole(reply),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("the API server has stopped"));
  }
}

async function* whole(reply: Reply): AsyncGenerator<Uint8Array> {
  for (const piece of reply.pieces ?? []) yield Buffer.from(piece);
  if (reply.body.length > 0) yield typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
}

/** A stream as an async iterable; leaving the loop ends the stream. */
async function* streamed(reply: Reply, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const queue: Uint8Array[] = [];
  let ended = false;
  let bytes = 0;
  let wake = () => {};
  const left = new AbortController();
  const sink: Sink = {
    get backlog() {
      return bytes;
    },
    write(chunk) {
      bytes += chunk.length;
      queue.push(chunk);
      wake();
    },
    end() {
      ended = true;
      wake();
    },
  };
  const onAbort = () => {
    ended = true;
    wake();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    reply.stream?.(sink, AbortSignal.any([signal, left.signal]));
    for (;;) {
      const batch = queue.splice(0);
      bytes = 0;
      yield* batch;
      if (queue.length > 0) continue;
      signal.throwIfAborted();
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      wake = () => {};
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    left.abort();
  }
}
