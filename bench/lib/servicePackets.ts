import { writeFileSync } from "node:fs";
import { AF, check, libc, SOCK } from "#kernel/ffi/index.ts";
import { socketAddress, sysctlPath } from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { median } from "./benchmark.ts";
import { SERVICE_CIDR, TARGET_PORT } from "./serviceLoad.ts";

/** What packets cost of CPU time, in µs: the kernel carries them to the receiver in the sender's time. */
export interface PacketCost {
  /** Making a UDP socket, its first datagram, closing it. */
  readonly flow: number;
  /** Making a TCP socket, the handshake, closing it. */
  readonly connect: number;
  /** One more datagram of a flow. */
  readonly established: number;
}

const ROUNDS = 7;
const FLOWS = 500;
const CONNECTS = 300;
const DATAGRAMS = 3000;
const MSG_DONTWAIT = 0x40;
const payload = Buffer.from("x");

/** Makes everything of the pods' network this machine's own, so that sender and endpoints are in one namespace. */
export function prepareNetwork(): void {
  const rt = openRtnetlink();
  rt.apply([
    { op: "set-link", index: 1, up: true },
    // All of a network that loopback has an address of is local.
    { op: "add-address", index: 1, address: "10.0.0.1/8" },
    { op: "add-route", dst: SERVICE_CIDR, index: 1 },
  ]);
  rt.close();
  writeFileSync(sysctlPath("net.core.somaxconn"), "4096");
}

/**
 * Sends to an address with this namespace's rules in effect. Medians of rounds; sender and receiver share the thread.
 * @throws Error when packets do not arrive
 */
export function packetCost(address: string, port: number): PacketCost {
  const destination = socketAddress(address, port);
  const receiver = bound(SOCK.DGRAM);
  try {
    const send = (fd: number) => check(libc.sendto(fd, payload, 1, 0, destination, destination.length), "sendto");
    const flow = rounds(FLOWS, () => withSocket(SOCK.DGRAM, send));
    if (Number(libc.recv(receiver, Buffer.alloc(8), 8, MSG_DONTWAIT)) !== 1)
      throw new Error(`datagrams to ${address}:${port} do not arrive`);
    const established = withSocket(SOCK.DGRAM, (fd) => {
      check(libc.connect(fd, destination, destination.length), "connect");
      return rounds(DATAGRAMS, () => check(libc.send(fd, payload, 1, 0), "send"));
    });
    return { flow, established, connect: connectCost(destination) };
  } finally {
    libc.close(receiver);
  }
}

/** A listener for each round, whose queue holds all of the round's connections. */
function connectCost(destination: Buffer): number {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const listener = bound(SOCK.STREAM);
    try {
      check(libc.listen(listener, 4096), "listen");
      const connect = (fd: number) => check(libc.connect(fd, destination, destination.length), "connect");
      times.push(timed(CONNECTS, () => withSocket(SOCK.STREAM, connect)));
    } finally {
      libc.close(listener);
    }
  }
  return median(times);
}

function rounds(count: number, work: () => unknown): number {
  return median(Array.from({ length: ROUNDS }, () => timed(count, work)));
}

/** @returns µs of CPU time for each */
function timed(count: number, work: () => unknown): number {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

function withSocket<T>(type: number, use: (fd: number) => T): T {
  const fd = check(libc.socket(AF.INET, type | SOCK.CLOEXEC, 0), "socket");
  try {
    return use(fd);
  } finally {
    libc.close(fd);
  }
}

function bound(type: number): number {
  const fd = check(libc.socket(AF.INET, type | SOCK.CLOEXEC, 0), "socket");
  const address = socketAddress("0.0.0.0", TARGET_PORT);
  check(libc.bind(fd, address, address.length), "bind");
  return fd;
}
