import { formatIp } from "#base/ip.ts";
import { AF, addressOf, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import type { Netns } from "./netns.ts";
import { bound, setOption } from "./sockets.ts";

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
/** Options of IPv4 and IPv6 sockets (include/uapi/linux/in.h, in6.h). */
const OPTIONS = {
  4: { level: 0, transparent: 19, originalDestination: 20 },
  6: { level: 41, transparent: 75, originalDestination: 74 },
} as const;
/** Most bytes of a datagram that are taken; the largest that IP carries. */
const MAX_DATAGRAM = 65_535;
const CONTROL_SIZE = 64;
/** sizeof(struct sockaddr_in6). */
const ADDRESS_SIZE = 28;

/** An address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A datagram for somebody else. */
export interface StrayDatagram {
  readonly data: Buffer;
  readonly from: Endpoint;
  /** Where it was meant to go. */
  readonly to: Endpoint;
}

/**
 * A TCP socket that listens for connections to any address which a tproxy rule gives to it; what it accepts has the
 * address that the client meant as its local one (Documentation/networking/tproxy.rst).
 * @throws SysError EPERM without CAP_NET_ADMIN in the namespace
 */
export function listenTransparentTcp(netns: Pick<Netns, "fd">, family: 4 | 6, backlog = 511): number {
  return bound(netns, anyAddress(family), 0, SOCK.STREAM, (fd) => {
    makeTransparent(fd, family);
    return () => check(libc.listen(fd, backlog), "listen", "transparent");
  });
}

/** A UDP socket for datagrams to any address which a tproxy rule gives to it; read it by {@link receiveStray}. */
export function transparentUdp(netns: Pick<Netns, "fd">, family: 4 | 6): number {
  return bound(netns, anyAddress(family), 0, SOCK.DGRAM, (fd) => {
    makeTransparent(fd, family);
    setOption(fd, OPTIONS[family].level, OPTIONS[family].originalDestination, 1);
    return () => 0;
  });
}

/**
 * A UDP socket that speaks for an address which is not the machine's own. Connected to a peer, it also gets what that
 * peer sends to the address.
 * @throws SysError
 */
export function impersonatingUdp(netns: Pick<Netns, "fd">, { address, port }: Endpoint): number {
  const family = address.includes(":") ? 6 : 4;
  return bound(netns, address, port, SOCK.DGRAM, (fd) => {
    makeTransparent(fd, family);
    // Several peers speak with the same address.
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return () => 0;
  });
}

function anyAddress(family: 4 | 6): string {
  return family === 4 ? "0.0.0.0" : "::";
}

function makeTransparent(fd: number, family: 4 | 6): void {
  setOption(fd, OPTIONS[family].level, OPTIONS[family].transparent, 1);
}

/**
 * Takes one datagram out of a socket made by {@link transparentUdp}.
 * @returns undefined when none is there
 * @throws SysError
 */
export function receiveStray(fd: number): StrayDatagram | undefined {
  const [data, name, control] = [Buffer.alloc(MAX_DATAGRAM), Buffer.alloc(ADDRESS_SIZE), Buffer.alloc(CONTROL_SIZE)];
  const message = messageHeader(data, name, control);
  let length: number;
  try {
    length = check(libc.recvmsg(fd, message.header, 0), "recvmsg");
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return undefined;
    throw error;
  }
  const from = endpointOf(name);
  const to = originalDestination(control);
  return from && to && { data: Buffer.from(data.subarray(0, length)), from, to };
}

/** struct msghdr with one iovec (64 bit); the buffers have to live as long as it. */
function messageHeader(data: Buffer, name: Buffer, control: Buffer): { header: Buffer; vector: Buffer } {
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(addressOf(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(addressOf(name), 0);
  header.writeUInt32LE(name.length, 8);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  return { header, vector };
}

/** The destination in the first control message (struct cmsghdr: length, level, type, then struct sockaddr). */
function originalDestination(control: Buffer): Endpoint | undefined {
  const [level, type] = [control.readInt32LE(8), control.readInt32LE(12)];
  const known = Object.values(OPTIONS).some((o) => o.level === level && o.originalDestination === type);
  return known ? endpointOf(control.subarray(16)) : undefined;
}

/** struct sockaddr_in or sockaddr_in6. */
function endpointOf(bytes: Buffer): Endpoint | undefined {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AF.INET) return { address: formatIp({ family: 4, bytes: bytes.subarray(4, 8) }), port };
  if (family === AF.INET6) return { address: formatIp({ family: 6, bytes: bytes.subarray(8, 24) }), port };
  return undefined;
}
