import type { WebSocket } from "ws";
import {
  CHANNEL,
  type ClientMessage,
  type CommandEnd,
  decodeClientMessage,
  encodeChannel,
  statusOfCommand,
} from "#wire/websocket/index.ts";

/** Above this much unsent output, in bytes, a command's output is no longer read. */
const HIGH_WATER = 1 << 20;

/** What a client does. */
export interface SessionInput {
  readonly onStdin: (data: Buffer) => void;
  /** No more stdin comes. */
  readonly onStdinEnd: () => void;
  readonly onResize: (columns: number, rows: number) => void;
  /** The client is gone. */
  readonly onGone: () => void;
}

/** A client at the other end of a WebSocket: streams in, streams and one status out. */
export class StreamSession {
  readonly #socket: WebSocket;
  /** Gets messages; those that come before the command runs wait. */
  #input: SessionInput | undefined;
  readonly #early: ((input: SessionInput) => void)[] = [];
  #ended = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("error", () => socket.terminate());
    socket.on("message", (message: Buffer, isBinary) => {
      const decoded = isBinary ? decodeClientMessage(message) : undefined;
      if (decoded) this.#take((input) => deliver(input, decoded));
    });
    socket.on("close", () => this.#take((input) => input.onGone()));
  }

  /** Begins to take what the client sends, and has sent. */
  listen(input: SessionInput): void {
    this.#input = input;
    for (const early of this.#early.splice(0)) early(input);
  }

  /**
   * Sends output.
   * @returns false when the client is slow: read on when `resume` was called
   */
  send(stream: "stdout" | "stderr", data: Buffer, resume: () => void): boolean {
    if (this.#ended) return true;
    const slow = this.#socket.bufferedAmount > HIGH_WATER;
    this.#socket.send(encodeChannel(CHANNEL[stream], data), () => {
      if (slow) resume();
    });
    return !slow;
  }

  /** Tells how it ended, and closes. */
  end(end: CommandEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.send(encodeChannel(CHANNEL.status, Buffer.from(statusOfCommand(end))));
    this.#socket.close(1000);
  }

  #take(event: (input: SessionInput) => void): void {
    if (this.#input) event(this.#input);
    else this.#early.push(event);
  }
}

function deliver(input: SessionInput, message: ClientMessage): void {
  if (message.kind === "stdin") input.onStdin(message.data);
  else if (message.kind === "resize") input.onResize(message.columns, message.rows);
  else if (message.channel === CHANNEL.stdin) input.onStdinEnd();
}
