import { setImmediate } from "node:timers/promises";
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
      yaml: this.#handler.yaml,
      signal,
      user: this.#user,
    };
    const reply = await this.#handler.handle(call);
    const { status, headers } = reply;
    if (!reply.stream) return { status, headers, body: whole(reply) };
    const events = streamed(reply, signal);
    return { status, headers, events, body: lines(events) };
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("the API server has stopped"));
  }
}

async function* whole(reply: Reply): AsyncGenerator<Uint8Array> {
  yield* reply.pieces ?? [];
  if (reply.body.length > 0) yield typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
}

/** An event of a watch. */
interface Event {
  readonly type: string;
  readonly object: object;
}

/** Events as they would go over a connection, for those who read the body of the answer. */
async function* lines(events: AsyncIterable<Event>): AsyncGenerator<Uint8Array> {
  for await (const event of events) yield Buffer.from(`${JSON.stringify(event)}\n`);
}

/** A watch as an async iterable; leaving the loop ends it. */
async function* streamed(reply: Reply, signal: AbortSignal): AsyncGenerator<Event> {
  const queue: Event[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = () => {};
  const left = new AbortController();
  const sink: Sink = {
    // A client in this process is as fast as the server.
    backlog: 0,
    write(chunk) {
      for (const line of Buffer.from(chunk).toString().split("\n")) if (line) queue.push(JSON.parse(line));
      wake();
    },
    ready: () => setImmediate(),
    event(type, object) {
      queue.push({ type, object });
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
    reply.stream?.(sink, AbortSignal.any([signal, left.signal])).catch((error: unknown) => {
      failure = { error };
      wake();
    });
    for (;;) {
      yield* queue.splice(0);
      if (queue.length > 0) continue;
      if (failure) throw failure.error;
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
