import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { AF, check, libc, SOCK } from "#kernel/ffi/index.ts";
import { socketAddress } from "#kernel/namespaces/index.ts";
import { cpuMs } from "./processes.ts";
import { TARGET_PORT } from "./serviceLoad.ts";
import type { PacketCost } from "./servicePackets.ts";

/** What a proxy process that relays says when it serves: of its first sync, as `ServiceFigures`. */
export interface Relaying {
  readonly firstSync: number;
  readonly cpu: number;
  readonly resident: number;
}

const MSG_DONTWAIT = 0x40;
const ROUNDS = 20;
/** So many go at once: what waits for the relay has to fit the buffer of its socket. */
const BURST = 100;
/** What has not come after this time is lost, in ms. */
const PATIENCE = 2000;
const payload = Buffer.from("x");

/** Starts this worker once more in the same namespace, as the process that relays. @throws Error when it does not serve */
export async function startRelay(task: object): Promise<{ relay: ChildProcess; figures: Relaying }> {
  const args = [...process.execArgv, process.argv[1] ?? "", JSON.stringify({ ...task, isRelay: true })];
  const relay = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface(relay.stdout)) return { relay, figures: JSON.parse(line) as Relaying };
  throw new Error("the relay ended before it served");
}

/** Ends it and waits. */
export async function stopRelay(relay: ChildProcess): Promise<void> {
  const ended = once(relay, "close");
  relay.stdin?.end();
  await ended;
}

/**
 * As `packetCost`, through a process that relays: the CPU time of both for what arrived.
 * @throws Error when much of it does not
 */
export async function relayedCost(address: string, port: number, relay: number): Promise<PacketCost> {
  const destination = socketAddress(address, port);
  const receiver = bound(SOCK.DGRAM);
  const listener = bound(SOCK.STREAM);
  const arrivals = () => Number(libc.recv(receiver, Buffer.alloc(8), 8, MSG_DONTWAIT)) === 1;
  const accepted = () => {
    const fd = libc.accept4(listener, null, null, SOCK.CLOEXEC);
    if (fd >= 0) libc.close(fd);
    return fd >= 0;
  };
  try {
    check(libc.listen(listener, 4096), "listen");
    const send = (fd: number) => check(libc.sendto(fd, payload, 1, 0, destination, destination.length), "sendto");
    const flow = await rounds(relay, () => withSockets(BURST, SOCK.DGRAM, send, arrivals));
    const one = (work: (fd: number) => unknown, arrived: () => boolean) => withSockets(1, SOCK.DGRAM, work, arrived);
    const established = await rounds(relay, () =>
      one((fd) => {
        for (let i = 0; i < BURST; i++) send(fd);
      }, arrivals),
    );
    const connect = (fd: number) => check(libc.connect(fd, destination, destination.length), "connect");
    return {
      flow,
      established,
      connect: await rounds(relay, () => withSockets(BURST, SOCK.STREAM, connect, accepted)),
    };
  } finally {
    libc.close(receiver);
    libc.close(listener);
  }
}

/** @returns µs of CPU time for each that arrived */
async function rounds(relay: number, work: () => Promise<number>): Promise<number> {
  const own = process.cpuUsage();
  const others = cpuMs(relay);
  let arrived = 0;
  for (let i = 0; i < ROUNDS; i++) arrived += await work();
  if (arrived < 0.9 * ROUNDS * BURST) throw new Error(`of ${ROUNDS * BURST} packets ${arrived} came through the relay`);
  const { user, system } = process.cpuUsage(own);
  return (user + system + 1000 * (cpuMs(relay) - others)) / arrived;
}

/** Uses so many new sockets, and waits for a burst to arrive. @returns how many did */
async function withSockets(
  count: number,
  type: number,
  use: (fd: number) => unknown,
  arrived: () => boolean,
): Promise<number> {
  const fds = Array.from({ length: count }, () => check(libc.socket(AF.INET, type | SOCK.CLOEXEC, 0), "socket"));
  try {
    for (const fd of fds) use(fd);
    const until = performance.now() + PATIENCE;
    let came = 0;
    while (came < BURST && performance.now() < until) {
      if (arrived()) came++;
      else await new Promise((done) => setTimeout(done, 1));
    }
    return came;
  } finally {
    for (const fd of fds) libc.close(fd);
  }
}

function bound(type: number): number {
  const fd = check(libc.socket(AF.INET, type | SOCK.CLOEXEC | SOCK.NONBLOCK, 0), "socket");
  const address = socketAddress("0.0.0.0", TARGET_PORT);
  check(libc.bind(fd, address, address.length), "bind");
  return fd;
}
