import { promises } from "node:fs";
import { Socket } from "node:net";
import { type Ip, parseIp } from "#base/ip.ts";
import { AF, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import { inNetns, type Netns } from "./netns.ts";

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const flags = SOCK.NONBLOCK | SOCK.CLOEXEC;

/**
 * Makes libuv's pool threads exist, at home. Await it once in every process before the first namespace window:
 * a pool thread born inside one stays there and pins the namespace.
 */
export async function warmThreadPool(): Promise<void> {
  await Promise.all(Array.from({ length: 4 }, () => promises.stat("/")));
}

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes): family in host order, port in network order. */
export function socketAddress(address: string | Ip, port: number): Buffer {
  const ip = typeof address === "string" ? parseIp(address) : address;
  const bytes = Buffer.alloc(ip.family === 4 ? 16 : 28);
  bytes.writeUInt16LE(ip.family === 4 ? AF.INET : AF.INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ip.bytes, ip.family === 4 ? 4 : 8);
  return bytes;
}

/** Where a socket is made. Undefined: the thread's own namespace, which needs no privilege. */
export type SocketPlace = Pick<Netns, "fd"> | undefined;

/** A socket in the namespace; the descriptor is the caller's to close. */
function socketIn(netns: SocketPlace, address: string, type: number): { fd: number; close: () => void } {
  const family = parseIp(address).family === 4 ? AF.INET : AF.INET6;
  const make = () => libc.socket(family, type | flags, 0);
  const fd = check(netns ? inNetns(netns, make) : make(), "socket", address);
  return { fd, close: () => void libc.close(fd) };
}

/** Sets an option that is a number (setsockopt(2)). @throws SysError */
export function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check(libc.setsockopt(fd, level, name, bytes, 4), "setsockopt", `${level}/${name}`);
}

/**
 * A TCP socket of the namespace that listens; give it to `server.listen({ fd })`, which owns it from then on.
 * @param port 0 for one that the kernel chooses
 * @throws SysError EADDRINUSE, EADDRNOTAVAIL
 */
export function listenTcp(netns: SocketPlace, address: string, port: number, backlog = 511): number {
  return bound(netns, address, port, SOCK.STREAM, (fd) => {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return () => check(libc.listen(fd, backlog), "listen", `${address} port ${port}`);
  });
}

/**
 * A bound UDP socket of the namespace; give it to `dgramSocket.bind({ fd })`, which emits 'listening' before it
 * returns.
 * @throws SysError EADDRINUSE, EADDRNOTAVAIL
 */
export function udpSocket(netns: SocketPlace, address: string, port: number): number {
  return bound(netns, address, port, SOCK.DGRAM, () => () => 0);
}

/**
 * A socket of the namespace, bound to an address.
 * @param prepare what comes before the bind; gives what comes after it
 */
export function bound(
  netns: SocketPlace,
  address: string,
  port: number,
  type: number,
  prepare: (fd: number) => () => unknown,
): number {
  const socket = socketIn(netns, address, type);
  try {
    if (address.includes(":")) setOption(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    const finish = prepare(socket.fd);
    const to = socketAddress(address, port);
    check(libc.bind(socket.fd, to, to.length), "bind", `${address} port ${port}`);
    finish();
    return socket.fd;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * A TCP connection out of the namespace. Returned at once, connecting: what is written waits for the connection,
 * failures (ECONNREFUSED, EHOSTUNREACH, …) come as the socket's 'error' event.
 * @throws SysError for failures known at once, such as ENETUNREACH
 */
export function connectTcp(netns: SocketPlace, address: string, port: number): Socket {
  const socket = socketIn(netns, address, SOCK.STREAM);
  try {
    const to = socketAddress(address, port);
    check(libc.connect(socket.fd, to, to.length), "connect", `${address} port ${port}`);
  } catch (error) {
    if (!isErrno(error, "EINPROGRESS")) {
      socket.close();
      throw error;
    }
  }
  return new Socket({ fd: socket.fd, readable: true, writable: true });
}

/** Local port of a socket descriptor, for sockets bound to port 0. */
export function localPort(fd: number): number {
  const address = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  check(libc.getsockname(fd, address, length), "getsockname");
  return address.readUInt16BE(2);
}

/**
 * As {@link connectTcp}, once the connection is there. Each direction of it ends on its own.
 * @param limitMs how long it may take. Default: as long as the kernel tries
 * @throws Error with code ECONNREFUSED, EHOSTUNREACH, …; ETIMEDOUT after the limit
 */
export function connectedTcp(netns: SocketPlace, address: string, port: number, limitMs?: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(netns, address, port);
    socket.allowHalfOpen = true;
    const timedOut = () => socket.destroy(Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" }));
    const timer = limitMs === undefined ? undefined : setTimeout(timedOut, limitMs);
    socket.once("close", () => clearTimeout(timer));
    socket.once("error", reject);
    // Nothing is sent by this; it is done when the socket can be written to, as connect(2) tells it.
    socket.write("", (error) => {
      if (error) return;
      clearTimeout(timer);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}
