import type { Socket } from "node:net";
import type { ClientStreams } from "./streams.ts";

/** Carries one output of a command to the client, no faster than the client takes it. */
export class OutputPump {
  readonly #closed = Promise.withResolvers<void>();
  #waiting = false;
  #drain: { readonly ms: number; readonly done: () => void; timer?: NodeJS.Timeout } | undefined;

  constructor(stream: "stdout" | "stderr", socket: Socket, client: ClientStreams) {
    socket.on("close", () => this.#closed.resolve());
    // Reading a terminal whose other end is closed gives EIO: that is its end.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const resume = () => {
        this.#waiting = false;
        this.#rearm();
        socket.resume();
      };
      if (!client.send(stream, chunk, resume)) {
        this.#waiting = true;
        socket.pause();
      }
      this.#rearm();
    });
  }

  /**
   * Resolves at the end of the output, or when nothing came for so long though the client would take it: processes in
   * the background may hold it open for ever.
   */
  drained(silentMs: number): Promise<void> {
    const silent = new Promise<void>((resolve) => {
      this.#drain = { ms: silentMs, done: resolve };
      this.#rearm();
    });
    return Promise.race([this.#closed.promise, silent]).finally(() => {
      clearTimeout(this.#drain?.timer);
      this.#drain = undefined;
    });
  }

  #rearm(): void {
    const drain = this.#drain;
    if (!drain) return;
    clearTimeout(drain.timer);
    if (!this.#waiting) drain.timer = setTimeout(drain.done, drain.ms);
  }
}
