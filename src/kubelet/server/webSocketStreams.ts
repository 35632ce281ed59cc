import type { WebSocket } from "ws";
import {
  CHANNEL,
  type ChannelProtocol,
  type ClientMessage,
  type CommandEnd,
  decodeClientMessage,
  encodeChannel,
  statusOfCommand,
} from "#wire/websocket/index.ts";
import { type ClientStreams, EarlyEvents, HIGH_WATER, type StreamInput } from "./streams.ts";

/** A client of exec or attach at the other end of a WebSocket. */
export class WebSocketStreams implements ClientStreams {
  readonly #socket: WebSocket;
  readonly #protocol: ChannelProtocol;
  readonly #events = new EarlyEvents();
  #ended = false;

  constructor(socket: WebSocket, protocol: ChannelProtocol) {
    this.#socket = socket;
    this.#protocol = protocol;
    socket.on("error", () => socket.terminate());
    socket.on("message", (message: Buffer) => {
      const decoded = decodeClientMessage(message, protocol);
      if (decoded) this.#events.take((input) => this.#deliver(input, decoded));
    });
    socket.on("close", () => this.#events.take((input) => input.onGone()));
  }

  listen(input: StreamInput): void {
    this.#events.listen(input);
  }

  send(stream: "stdout" | "stderr", data: Buffer, resume: () => void): boolean {
    if (this.#ended) return true;
    const slow = this.#socket.bufferedAmount > HIGH_WATER;
    this.#write(CHANNEL[stream], data, () => {
      if (slow) resume();
    });
    return !slow;
  }

  end(end: CommandEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const status = statusOfCommand(end, this.#protocol);
    // Closed when everything is sent, however slowly the client reads: from then on it has 30 s to answer.
    this.#write(CHANNEL.status, Buffer.from(status), () => this.#socket.close(1000));
    // Its closing message is read, whatever stands before it.
    if (this.#socket.isPaused) this.#socket.resume();
  }

  #write(channel: number, data: Buffer, sent?: () => void): void {
    const message = encodeChannel(channel, data, this.#protocol);
    this.#socket.send(message, { binary: !this.#protocol.base64 }, sent);
  }

  #deliver(input: StreamInput, message: ClientMessage): void {
    if (message.kind === "resize") input.onResize(message.columns, message.rows);
    else if (message.kind === "close") {
      if (message.channel === CHANNEL.stdin) input.onStdinEnd();
    } else if (!input.onStdin(message.data, () => this.#socket.resume())) this.#socket.pause();
  }
}
