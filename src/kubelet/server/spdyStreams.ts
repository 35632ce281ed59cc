import { RESET, type SpdySession, type SpdyStream } from "#wire/spdy/index.ts";
import { type CommandEnd, decodeResize, statusOfCommand } from "#wire/websocket/index.ts";
import { CLOSE_MS, type ClientStreams, EarlyEvents, HIGH_WATER, type StreamInput } from "./streams.ts";

/** Names in the header `streamtype` (k8s.io/api/core/v1, StreamType*). */
type StreamType = "error" | "stdin" | "stdout" | "stderr" | "resize";

/** Protocols of exec and attach over SPDY, best first (header X-Stream-Protocol-Version). */
export const SPDY_COMMAND_PROTOCOLS = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
] as const;

/** What a client of exec or attach opens. */
export interface ExpectedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** A client of exec or attach that opens a stream for each of its files, over SPDY. */
export class SpdyStreams implements ClientStreams {
  readonly #session: SpdySession;
  readonly #jsonStatus: boolean;
  readonly #wanted: ReadonlySet<string>;
  readonly #streams = new Map<string, SpdyStream>();
  readonly #events = new EarlyEvents();
  readonly #complete = Promise.withResolvers<void>();
  #ended = false;

  /** Streams are to be given to `add`. @param protocol of SPDY_COMMAND_PROTOCOLS */
  constructor(session: SpdySession, protocol: string, expected: ExpectedStreams) {
    this.#session = session;
    this.#jsonStatus = /^v[45]\./.test(protocol);
    this.#wanted = new Set(wantedStreams(protocol, expected));
    void session.closed.then(() => {
      this.#complete.reject(new Error("the client went away before it had opened its streams"));
      this.#events.take((input) => input.onGone());
    });
    this.#complete.promise.catch(() => {});
  }

  /** Takes a stream that the client opened. */
  add(stream: SpdyStream): void {
    const type = stream.headers["streamtype"] ?? "";
    if (!this.#wanted.has(type) || this.#streams.has(type)) {
      stream.reset(RESET.refusedStream);
      return;
    }
    this.#streams.set(type, stream.accept());
    stream.on("error", () => stream.destroy());
    if (type === "stdin") this.#takeInput(stream);
    else if (type === "resize") this.#takeSizes(stream);
    else stream.resume();
    if (this.#streams.size === this.#wanted.size) this.#complete.resolve();
  }

  /**
   * Resolves when the client has opened all its streams.
   * @throws Error when it has not within so many ms, or went away
   */
  async complete(timeoutMs: number): Promise<void> {
    const timer = setTimeout(
      () => this.#complete.reject(new Error("timed out waiting for client to create streams")),
      timeoutMs,
    );
    try {
      await this.#complete.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  listen(input: StreamInput): void {
    this.#events.listen(input);
  }

  send(name: "stdout" | "stderr", data: Buffer, resume: () => void): boolean {
    const stream = this.#streams.get(name);
    if (this.#ended || !stream || stream.destroyed) return true;
    const slow = stream.writableLength > HIGH_WATER;
    stream.write(data, () => {
      if (slow) resume();
    });
    return !slow;
  }

  end(end: CommandEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const status = statusOfCommand(end, { jsonStatus: this.#jsonStatus });
    const flushed = [...this.#streams].map(([type, stream]) => {
      stream.resume();
      if (type === "error" && status !== "") stream.write(status);
      return new Promise<void>((resolve) => {
        stream.end(resolve);
        stream.on("close", resolve);
      });
    });
    // However slowly the client reads, it gets everything; then it has to close its end. GOAWAY comes last: a client of
    // Go's library reads nothing after it (moby/spdystream, Connection.Serve).
    void Promise.all(flushed).then(() => {
      this.#session.end();
      const timer = setTimeout(() => this.#session.destroy(), CLOSE_MS);
      void this.#session.closed.then(() => clearTimeout(timer));
    });
  }

  #takeInput(stream: SpdyStream): void {
    stream.on("data", (data: Buffer) =>
      this.#events.take((input) => {
        if (!input.onStdin(data, () => stream.resume())) stream.pause();
      }),
    );
    stream.on("end", () => this.#events.take((input) => input.onStdinEnd()));
  }

  #takeSizes(stream: SpdyStream): void {
    let rest = "";
    stream.on("data", (data: Buffer) => {
      // JSON values follow one another, with or without a newline between.
      const texts = (rest + data.toString()).split("}");
      rest = (texts.pop() ?? "").slice(0, 1024);
      for (const text of texts) {
        const size = decodeResize(`${text}}`);
        if (size) this.#events.take((input) => input.onResize(size.columns, size.rows));
      }
    });
  }
}

/** The first two versions have no stream for a terminal's size. */
function wantedStreams(protocol: string, { stdin, stdout, stderr, tty }: ExpectedStreams): StreamType[] {
  const resizes = tty && protocol !== "v2.channel.k8s.io" && protocol !== "channel.k8s.io";
  const wanted: StreamType[] = ["error"];
  if (stdin) wanted.push("stdin");
  if (stdout) wanted.push("stdout");
  if (stderr && !tty) wanted.push("stderr");
  if (resizes) wanted.push("resize");
  return wanted;
}
