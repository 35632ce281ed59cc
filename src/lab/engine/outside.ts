import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { listenTcp, type Netns, udpSocket } from "#kernel/namespaces/index.ts";

const DNS_PORT = 53;
const HEADER_SIZE = 12;
/** Response, recursion available; RCODE 2 (RFC 1035 section 4.1.1). */
const QR = 0x80;
const RA = 0x80;
const SERVFAIL = 2;

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

/**
 * Answers DNS on the router while the outside is off.
 * @returns a function that stops it
 * @throws SysError when an address is not the router's
 */
export function startOutsideResolver(netns: Netns, addresses: readonly string[]): () => void {
  const stops = addresses.map((address) => {
    const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
    udp.on("message", (query, peer) => {
      const answer = servfail(query);
      if (answer) udp.send(answer, peer.port, peer.address);
    });
    udp.on("error", () => udp.close());
    udp.bind({ fd: udpSocket(netns, address, DNS_PORT) });
    const tcp = createServer((socket) => {
      socket.setTimeout(5000, () => socket.destroy());
      socket.on("error", () => socket.destroy());
      socket.once("data", (data) => {
        const answer = servfail(data.subarray(2));
        if (!answer) return socket.destroy();
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.end(Buffer.concat([length, answer]));
      });
    });
    const fd = listenTcp(netns, address, DNS_PORT);
    tcp.listen({ fd });
    return (): void => {
      udp.close();
      tcp.close();
    };
  });
  return () => {
    for (const stop of stops) stop();
  };
}
