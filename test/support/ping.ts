import { setTimeout as sleep } from "node:timers/promises";
import { parseIp } from "#base/ip.ts";
import { AF, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import { inNetns, type Netns, socketAddress } from "#kernel/namespaces/index.ts";

/** Sum of 16-bit words in one's complement (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** One echo request; true when its reply comes. A few requests go out, since ARP and ND may eat the first. */
export async function ping(
  netns: Pick<Netns, "fd">,
  address: string,
  options: { timeoutMs?: number; size?: number } = {},
): Promise<boolean> {
  const v6 = parseIp(address).family === 6;
  const protocol = v6 ? 58 : 1;
  const type = SOCK.RAW | SOCK.NONBLOCK | SOCK.CLOEXEC;
  const fd = check(
    inNetns(netns, () => libc.socket(v6 ? AF.INET6 : AF.INET, type, protocol)),
    "socket",
    "ping",
  );
  try {
    const to = socketAddress(address, 0);
    check(libc.connect(fd, to, to.length), "connect", address);
    const id = Math.floor(Math.random() * 0xffff);
    const deadline = performance.now() + (options.timeoutMs ?? 5000);
    for (let sequence = 1; performance.now() < deadline; sequence++) {
      send(fd, echo(v6, id, sequence, options.size ?? 56));
      if (await answered(fd, v6, id, Math.min(deadline, performance.now() + 200))) return true;
    }
    return false;
  } catch (error) {
    if (isErrno(error, "ENETUNREACH") || isErrno(error, "EHOSTUNREACH")) return false;
    throw error;
  } finally {
    libc.close(fd);
  }
}

function send(fd: number, packet: Buffer): void {
  if (Number(libc.send(fd, packet, packet.length, 0)) < 0) {
    try {
      check(-1, "send", "ping");
    } catch (error) {
      // An ICMP error to the request before.
      if (!["EHOSTUNREACH", "ECONNREFUSED", "EPERM"].some((code) => isErrno(error, code))) throw error;
    }
  }
}

/** ICMP (RFC 792) or ICMPv6 (RFC 4443) echo request; the kernel fills in ICMPv6's checksum. */
function echo(v6: boolean, id: number, sequence: number, size: number): Buffer {
  const packet = Buffer.alloc(8 + size + (size & 1));
  packet[0] = v6 ? 128 : 8;
  packet.writeUInt16BE(id, 4);
  packet.writeUInt16BE(sequence & 0xffff, 6);
  if (!v6) packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

async function answered(fd: number, v6: boolean, id: number, until: number): Promise<boolean> {
  const buffer = Buffer.alloc(65536);
  while (performance.now() < until) {
    const n = Number(libc.recv(fd, buffer, buffer.length, 0));
    const icmp = v6 ? 0 : 20;
    if (n >= icmp + 8 && buffer[icmp] === (v6 ? 129 : 0) && buffer.readUInt16BE(icmp + 4) === id) return true;
    if (n < 0) await sleep(1);
  }
  return false;
}
