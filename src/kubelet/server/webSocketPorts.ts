import type { WebSocket } from "ws";
import { type ChannelProtocol, decodeChannel, encodeChannel } from "#wire/websocket/index.ts";
import { type ForwardedPod, forwardFailure } from "./portForward.ts";
import { RequestError } from "./requests.ts";
import { HIGH_WATER, writeSlowly } from "./streams.ts";

/** Reads `?ports=80&ports=81,82`. @throws RequestError in upstream's words */
export function parsePorts(query: URLSearchParams): number[] {
  const texts = [...query.getAll("ports"), ...query.getAll("port")].flatMap((text) => text.split(","));
  if (texts.length === 0) throw new RequestError(400, 'query parameter "port" is required');
  return texts.map((text) => {
    if (!/^\d+$/.test(text) || Number(text) > 65535)
      throw new RequestError(400, `unable to parse ${JSON.stringify(text)} as a port`);
    if (Number(text) === 0) throw new RequestError(400, `port ${JSON.stringify(text)} must be > 0`);
    return Number(text);
  });
}

/**
 * Port-forward of older clients over one WebSocket: one connection for each port. Channel 2i carries the data of
 * port i and channel 2i+1 its errors; each begins with the port's number, 16 bits, little-endian.
 */
export function forwardPorts(
  webSocket: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  pod: ForwardedPod,
): void {
  webSocket.on("error", () => webSocket.terminate());
  const channels = ports.map((port, i) => forwardPort(webSocket, protocol, { port, channel: 2 * i }, pod));
  let open = channels.length;
  for (const { closed } of channels) {
    void closed.then(() => {
      if (--open === 0) webSocket.close(1000);
    });
  }
  webSocket.on("message", (message: Buffer) => {
    const { channel, data } = decodeChannel(message, protocol) ?? { channel: -1, data: message };
    const resume = () => webSocket.resume();
    if (channel % 2 === 0 && channels[channel / 2]?.write(data, resume) === false) webSocket.pause();
  });
}

interface PortChannel {
  write(data: Buffer, resume: () => void): boolean;
  readonly closed: Promise<void>;
}

function forwardPort(
  webSocket: WebSocket,
  protocol: ChannelProtocol,
  { port, channel }: { readonly port: number; readonly channel: number },
  pod: ForwardedPod,
): PortChannel {
  const send = (to: number, data: Buffer, sent?: () => void) =>
    webSocket.send(encodeChannel(to, data, protocol), { binary: !protocol.base64 }, sent);
  const number = Buffer.alloc(2);
  number.writeUInt16LE(port);
  for (const to of [channel, channel + 1]) send(to, number);
  const socket = pod.dial(port);
  const closed = socket.then(
    (connected) => {
      webSocket.on("close", () => connected.destroy());
      connected.on("data", (data: Buffer) => {
        const slow = webSocket.bufferedAmount > HIGH_WATER;
        if (slow) connected.pause();
        send(channel, data, () => {
          if (slow) connected.resume();
        });
      });
      connected.on("error", () => connected.destroy());
      // No message says that one direction has ended.
      connected.on("end", () => connected.destroy());
      return new Promise<void>((resolve) => connected.on("close", () => resolve()));
    },
    (error: unknown) => send(channel + 1, Buffer.from(forwardFailure(pod.id, port, error))),
  );
  const early: Buffer[] = [];
  let connected: Awaited<typeof socket> | undefined;
  void socket.then(
    (there) => {
      connected = there;
      for (const data of early.splice(0)) there.write(data);
    },
    () => {},
  );
  return {
    closed,
    write(data, resume) {
      if (connected) return writeSlowly(connected, data, resume);
      early.push(data);
      void socket.then(resume, resume);
      return false;
    },
  };
}
