import { parseIp } from "#base/ip.ts";
import { AF, addressOf, check, isErrno, libc, SOCK, SysError } from "#kernel/ffi/index.ts";
import type { Envelope } from "./batch.ts";

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_RCVTIMEO = 20;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_RECVPKTINFO = 49;
const SHUT_RDWR = 2;
const MSG_DONTWAIT = 0x40;
const F_GETFL = 3;
const F_SETFL = 4;

/** A blocked receiver looks around at least this often, in ms: a thread in a system call cannot be ended otherwise. */
const receiveTimeoutMs = 250;
/** Wished for; the kernel gives at most net.core.rmem_max. */
const receiveBuffer = 1 << 20;

/**
 * Bound UDP sockets of one port that tell the address a packet was sent to.
 * @param host empty: every address, IPv6 and IPv4 on one socket, IPv4 alone where there is no IPv6
 * @param count more than one: the kernel spreads clients over them (SO_REUSEPORT)
 * @throws SysError EADDRINUSE, EACCES, …
 */
export function openDatagrams(host: string, port: number, count = 1): number[] {
  if (host !== "") return openAll(host.includes(":") ? AF.INET6 : AF.INET, host, port, count);
  try {
    return openAll(AF.INET6, "::", port, count);
  } catch (error) {
    if (!isErrno(error, "EAFNOSUPPORT") && !isErrno(error, "EADDRNOTAVAIL")) throw error;
    return openAll(AF.INET, "0.0.0.0", port, count);
  }
}

function openAll(family: number, address: string, port: number, count: number): number[] {
  // Sockets that share a port would also share it with another program's; the first one shows whether it is free.
  const first = openOne(family, address, port, false);
  if (count === 1) return [first];
  const chosen = portOf(first);
  libc.close(first);
  const opened: number[] = [];
  try {
    for (let i = 0; i < count; i++) opened.push(openOne(family, address, chosen, true));
  } catch (error) {
    for (const fd of opened) libc.close(fd);
    throw error;
  }
  return opened;
}

function openOne(family: number, address: string, port: number, shared: boolean): number {
  const fd = check(libc.socket(family, SOCK.DGRAM | SOCK.CLOEXEC, 0), "socket", address);
  try {
    if (shared) option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (family === AF.INET6) {
      option(fd, IPPROTO_IPV6, IPV6_V6ONLY, address === "::" ? 0 : 1);
      option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    option(fd, SOL_SOCKET, SO_RCVBUF, receiveBuffer);
    const time = Buffer.alloc(16); // struct timeval
    time.writeBigInt64LE(BigInt(receiveTimeoutMs * 1000), 8);
    check(libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, time, 16), "setsockopt", "SO_RCVTIMEO");
    bindTo(fd, family, address, port);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Binds; a failure is told in the words of Node's own sockets, which these stand for. */
function bindTo(fd: number, family: number, address: string, port: number): void {
  const name = sockaddr(family, address, port);
  try {
    check(libc.bind(fd, name, name.length), "bind");
  } catch (error) {
    if (error instanceof SysError) error.message = `bind ${error.code} ${address}:${port}`;
    throw error;
  }
}

function option(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check(libc.setsockopt(fd, level, name, bytes, 4), "setsockopt", `${level}/${name}`);
}

/** struct sockaddr_in or sockaddr_in6. */
function sockaddr(family: number, address: string, port: number): Buffer {
  const { bytes: ip } = parseIp(address);
  const bytes = Buffer.alloc(family === AF.INET ? 16 : 28);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ip, family === AF.INET ? 4 : 8);
  return bytes;
}

/** The port that a socket is bound to. */
export function portOf(fd: number): number {
  const name = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(28);
  check(libc.getsockname(fd, name, length), "getsockname");
  return name.readUInt16BE(2);
}

/** Makes calls on the socket wait, as recvmmsg of a thread is meant to. */
export function setBlocking(fd: number): void {
  const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl");
  check(libc.fcntl(fd, F_SETFL, flags & ~SOCK.NONBLOCK), "fcntl");
}

/** Ends the wait of a thread that receives. */
export function wake(fd: number): void {
  libc.shutdown(fd, SHUT_RDWR); // says ENOTCONN, and wakes all the same
}

/** Closes the socket. */
export function closeDatagrams(fd: number): void {
  libc.close(fd);
}

/** Sends an answer to where a packet came from, from the address that it was sent to; lost when it cannot go at once. */
export function reply(fd: number, envelope: Envelope, answer: Uint8Array): void {
  const [nameLength = 0, controlLength = 0] = new Uint32Array(envelope.buffer, envelope.byteOffset, 2);
  const base = addressOf(envelope);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(addressOf(answer), 0);
  vector.writeBigUInt64LE(BigInt(answer.length), 8);
  const header = Buffer.alloc(56); // struct msghdr
  header.writeBigUInt64LE(base + 8n, 0);
  header.writeUInt32LE(nameLength, 8);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  if (controlLength > 0) header.writeBigUInt64LE(base + 40n, 32);
  header.writeBigUInt64LE(BigInt(controlLength), 40);
  libc.sendmsg(fd, header, MSG_DONTWAIT);
}
