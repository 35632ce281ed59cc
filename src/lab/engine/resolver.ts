import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { listenTcp, type Netns, udpSocket } from "#kernel/namespaces/index.ts";

const DNS_PORT = 53;
const HEADER_SIZE = 12;
/** Response, recursion available; RCODE 2 (RFC 1035 section 4.1.1). */
const QR = 0x80;
const RA = 0x80;
const SERVFAIL = 2;
/** A connection of a client on which nothing happens for so long is closed, in ms. */
const IDLE_MS = 5000;
const MAX_CONNECTIONS = 256;

/**
 * The answer to any DNS query as long as the lab has no way outside: SERVFAIL at once, so that nobody waits for a
 * time-out. The question is repeated as it came.
 * @returns undefined for what is no query
 */
export function servfail(query: Buffer): Buffer | undefined {
  if (query.length < HEADER_SIZE || ((query[2] ?? 0) & QR) !== 0) return undefined;
  const answer = Buffer.from(query);
  answer[2] = ((query[2] ?? 0) | QR) & ~0x06;
  answer[3] = RA | SERVFAIL;
  // Additional records (EDNS) were counted in the query; the answer is cut behind the first question instead.
  const end = questionEnd(query);
  if (end === undefined) return undefined;
  answer.writeUInt16BE(0, 6);
  answer.writeUInt16BE(0, 8);
  answer.writeUInt16BE(0, 10);
  return answer.subarray(0, end);
}

function questionEnd(query: Buffer): number | undefined {
  if (query.readUInt16BE(4) !== 1) return query.readUInt16BE(4) === 0 ? HEADER_SIZE : undefined;
  let offset = HEADER_SIZE;
  while (offset < query.length) {
    const length = query[offset] as number;
    if (length > 63) return undefined;
    offset += length + 1;
    if (length === 0) return offset + 4 <= query.length ? offset + 4 : undefined;
  }
  return undefined;
}

/** Asks somebody outside. Rejects when nobody answers. */
export type Upstream = (query: Buffer, transport: "udp" | "tcp") => Promise<Buffer>;

/**
 * Answers DNS on the router: by asking outside, or with SERVFAIL as long as there is no way there.
 * @returns a function that stops it
 * @throws SysError when an address is not the router's
 */
export function startResolver(netns: Netns, addresses: readonly string[], upstream?: Upstream): () => void {
  const answer: Answer = async (query, transport) => {
    const failure = servfail(query);
    // What is no query gets no answer.
    if (!upstream || !failure) return failure;
    return upstream(query, transport).catch(() => failure);
  };
  const stops = addresses.flatMap((address) => [serveUdp(netns, address, answer), serveTcp(netns, address, answer)]);
  return () => {
    for (const stop of stops) stop();
  };
}

type Answer = (query: Buffer, transport: "udp" | "tcp") => Promise<Buffer | undefined>;

function serveUdp(netns: Netns, address: string, answer: Answer): () => void {
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (query, peer) => {
    void answer(query, "udp").then((reply) => reply && udp.send(reply, peer.port, peer.address));
  });
  udp.on("error", () => udp.close());
  udp.bind({ fd: udpSocket(netns, address, DNS_PORT) });
  return () => udp.close();
}

function serveTcp(netns: Netns, address: string, answer: Answer): () => void {
  const tcp = createServer((socket) => {
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      // Each message has its length before it (RFC 1035 section 4.2.2).
      for (let query = framed(rest); query; query = framed(rest)) {
        rest = rest.subarray(2 + query.length);
        void answer(query, "tcp").then((reply) => (reply ? socket.write(frame(reply)) : socket.destroy()));
      }
    });
  });
  tcp.maxConnections = MAX_CONNECTIONS;
  tcp.listen({ fd: listenTcp(netns, address, DNS_PORT) });
  return () => tcp.close();
}

function framed(bytes: Buffer): Buffer | undefined {
  const length = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  return length > 0 && bytes.length >= 2 + length ? bytes.subarray(2, 2 + length) : undefined;
}

/** A message with its length before it, as TCP carries it. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
