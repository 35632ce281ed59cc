import { createServer, type Server, Socket } from "node:net";
import { parseIp } from "#base/ip.ts";
import { AF, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import { inNetns, type Netns, socketAddress } from "#kernel/namespaces/index.ts";

const SOCK_RAW = 3;
const IPPROTO_SCTP = 132;
const MSG_DONTWAIT = 0x40;

/** What arrives of SCTP, by raw sockets: the kernel need not have SCTP itself, only track its connections. */
export interface SctpEar {
  /** Destination ports of the INIT chunks that have come, with their senders' ports. */
  heard(): { from: number; to: number }[];
  close(): void;
}

/** Listens to SCTP packets that are for the namespace. */
export function listenSctp(netns: Netns, family: 4 | 6): SctpEar {
  const fd = rawSocket(netns, family);
  const buffer = Buffer.alloc(2048);
  return {
    heard() {
      const found: { from: number; to: number }[] = [];
      for (;;) {
        const n = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT));
        try {
          check(n, "recv");
        } catch (error) {
          if (isErrno(error, "EAGAIN")) return found;
          throw error;
        }
        // A raw socket of IPv4 gets the IP header too.
        const at = family === 4 ? ((buffer[0] ?? 0) & 15) * 4 : 0;
        found.push({ from: buffer.readUInt16BE(at), to: buffer.readUInt16BE(at + 2) });
      }
    },
    close: () => void libc.close(fd),
  };
}

/** Sends the first packet of an association. */
export function sendSctpInit(netns: Netns, address: string, fromPort: number, port: number): void {
  const ip = parseIp(address);
  const fd = rawSocket(netns, ip.family);
  try {
    const to = Buffer.alloc(ip.family === 4 ? 16 : 28);
    to.writeUInt16LE(ip.family === 4 ? AF.INET : AF.INET6, 0);
    to.set(ip.bytes, ip.family === 4 ? 4 : 8);
    const packet = initPacket(fromPort, port);
    check(libc.sendto(fd, packet, packet.length, 0, to, to.length), "sendto", address);
  } finally {
    libc.close(fd);
  }
}

function rawSocket(netns: Netns, family: 4 | 6): number {
  return inNetns(netns, () => check(libc.socket(family === 4 ? AF.INET : AF.INET6, SOCK_RAW, IPPROTO_SCTP), "socket"));
}

/** Common header and INIT chunk (RFC 9260 sections 3.1 and 3.3.2). */
function initPacket(fromPort: number, port: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(fromPort, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(0x1234, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

/** CRC-32C (RFC 9260 appendix A). */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A server on a socket of the kernel's SCTP that says its name and the client's address, and closes. */
export async function serveSctp(netns: Netns, address: string, port: number, name: string): Promise<Server> {
  const fd = sctpSocket(netns, address);
  const to = socketAddress(address, port);
  check(libc.bind(fd, to, to.length), "bind", address);
  check(libc.listen(fd, 16), "listen", address);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end(`${name} ${socket.remoteAddress}`);
  });
  await new Promise<void>((done) => server.listen({ fd }, done));
  return server;
}

/** What an SCTP server says, or the errno of a failure. */
export function askSctp(netns: Netns, address: string, port: number, waitMs: number): Promise<string> {
  const fd = sctpSocket(netns, address);
  const to = socketAddress(address, port);
  try {
    check(libc.connect(fd, to, to.length), "connect", address);
  } catch (error) {
    if (!isErrno(error, "EINPROGRESS")) throw error;
  }
  return new Promise((resolve) => {
    let text = "";
    const socket = new Socket({ fd, readable: true, writable: true });
    const finish = (result: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish("ETIMEDOUT"), waitMs);
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("end", () => finish(text));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

function sctpSocket(netns: Netns, address: string): number {
  const family = parseIp(address).family === 4 ? AF.INET : AF.INET6;
  const type = SOCK.STREAM | SOCK.NONBLOCK | SOCK.CLOEXEC;
  return inNetns(netns, () => check(libc.socket(family, type, IPPROTO_SCTP), "socket"));
}
