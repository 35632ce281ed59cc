import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import { workerFile } from "#base/entry.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type * as Datagrams from "#kernel/datagrams/index.ts";
import type { Answerer } from "../core/index.ts";
import { type Listener, maxPending, plainAddress } from "../transport/udp.ts";
import { HotCounters, maxZones } from "./counters.ts";
import type { HandedOver, HotWorkerData } from "./dnsHot.worker.ts";
import type { HotPath } from "./hotPath.ts";
import { controlBytes, controlWord } from "./layout.ts";

/** What a UDP port with a hot path needs. */
export interface HotUdpDeps {
  readonly answerer: Answerer;
  readonly hotPath: HotPath;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The system calls. Loaded by who may do without them. */
  readonly datagrams: typeof Datagrams;
  /** Queries a second from which on the thread pays for itself; 0: it is started at once. */
  readonly startAt: number;
  /** Queries that may wait for the plugins; more are dropped. Default: as of a port without a hot path. */
  readonly maxPending?: number;
}

/** Over this time the rate of queries is taken, in milliseconds. */
const windowMs = 200;
/** A thread that reads tables and answers needs little. */
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32, stackSizeMb: 1 };

/** What the sockets of a port share. */
interface Group {
  readonly deps: HotUdpDeps;
  /** Threads that run. */
  threads: number;
}

/**
 * A UDP port that begins as an ordinary socket of the plugins' thread, and is handed to a thread of its own, on the
 * same kernel socket so that no packet is lost, once queries come so often that it pays.
 * @throws SysError when the port cannot be had
 */
export async function listenHotUdp(host: string, port: number, deps: HotUdpDeps): Promise<Listener> {
  const wanted = deps.answerer.sites.flatMap(({ plugins }) => plugins.map(({ sockets }) => sockets ?? 1));
  const descriptors = deps.datagrams.openDatagrams(host, port, Math.max(1, ...wanted));
  const group: Group = { deps, threads: 0 };
  const sockets = await Promise.all(descriptors.map((fd) => new HotUdp(fd, group).open()));
  return {
    port: sockets[0]?.port ?? port,
    close: async () => void (await Promise.all(sockets.map((socket) => socket.close()))),
  };
}

/** One socket of the port. */
class HotUdp {
  readonly #group: Group;
  readonly #deps: HotUdpDeps;
  readonly #fd: number;
  #port = 0;
  #socket: Socket | undefined;
  #thread: Thread | undefined;
  #starting: Promise<void> | undefined;
  /** Queries of the present window, and when it began. */
  #queries = 0;
  #windowBegan = 0;
  #pending = 0;
  #closed = false;

  constructor(fd: number, group: Group) {
    this.#fd = fd;
    this.#group = group;
    this.#deps = group.deps;
  }

  get port(): number {
    return this.#port;
  }

  async open(): Promise<this> {
    await this.#listen();
    return this;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting;
    await Promise.all([closeSocket(this.#socket), this.#thread?.stop()]);
    this.#deps.datagrams.closeDatagrams(this.#fd);
  }

  /** Receives on the plugins' thread, by a second descriptor of the socket. */
  async #listen(): Promise<void> {
    const socket = createSocket({ type: this.#deps.datagrams.isV6(this.#fd) ? "udp6" : "udp4" });
    socket.on("error", () => {}); // ICMP errors of earlier answers
    socket.on("message", (packet, from) => {
      this.#countRate();
      if (from.port === 0) return;
      const address = plainAddress(from.address);
      this.#answer(packet, address, from.port, (bytes) =>
        this.#deps.datagrams.sendTo(this.#fd, address, from.port, bytes),
      );
    });
    const listening = once(socket, "listening");
    socket.bind({ fd: this.#deps.datagrams.duplicate(this.#fd) });
    await listening;
    this.#port = socket.address().port;
    this.#socket = socket;
  }

  #answer(packet: Uint8Array, address: string, port: number, send: (bytes: Uint8Array) => void, done = () => {}): void {
    if (this.#pending >= (this.#deps.maxPending ?? maxPending)) return done();
    const finish = (bytes: Uint8Array | undefined) => {
      if (bytes && !this.#closed) send(bytes);
      done();
    };
    const answer = this.#deps.answerer.answer(packet, { address, port, protocol: "udp" });
    if (!(answer instanceof Promise)) return finish(answer);
    this.#pending++;
    void answer.then(finish).finally(() => {
      this.#pending--;
    });
  }

  #countRate(): void {
    const now = performance.now();
    if (now - this.#windowBegan > windowMs) {
      this.#windowBegan = now;
      this.#queries = 0;
    }
    if (++this.#queries >= (this.#deps.startAt * windowMs) / 1000) this.#maybeStart();
  }

  #maybeStart(): void {
    if (this.#starting || this.#closed || !this.#deps.hotPath.active) return;
    const { log } = this.#deps;
    this.#starting = this.#start().catch((error: unknown) => {
      log.warn("Queries stay on the plugins' thread", { error: errorMessage(error) });
    });
  }

  async #start(): Promise<void> {
    const thread = await Thread.start(this.#fd, this.#deps, {
      handedOver: (packets) => this.#takeOver(packets),
      failed: (error) => void this.#fallBack(error),
    });
    if (this.#closed) return await thread.stop();
    await closeSocket(this.#socket);
    this.#socket = undefined;
    this.#thread = thread;
    this.#deps.datagrams.setBlocking(this.#fd);
    thread.go();
    this.#threads(1);
  }

  /** The thread ended by itself: the socket goes back to the plugins' thread, for good. */
  async #fallBack(error: unknown): Promise<void> {
    if (this.#closed) return;
    this.#thread = undefined;
    this.#threads(-1);
    this.#deps.log.error("The hot path failed; queries go to the plugins", { error: errorMessage(error) });
    await this.#listen();
  }

  #threads(more: number): void {
    this.#group.threads += more;
    this.#deps.metrics
      .gauge("podwire_dns_hot_path_threads", "Threads that answer what is known in advance.")
      .set(this.#group.threads, { server: this.#deps.hotPath.server });
  }

  #takeOver(packets: readonly HandedOver[]): void {
    const { datagrams } = this.#deps;
    for (const { envelope, packet } of packets) {
      const { address, port } = datagrams.peerOf(envelope);
      const done = () => this.#thread?.taken();
      if (port === 0) done();
      else this.#answer(packet, address, port, (bytes) => datagrams.reply(this.#fd, envelope, bytes), done);
    }
  }
}

/** What happens on a thread. */
interface ThreadEvents {
  handedOver(packets: readonly HandedOver[]): void;
  failed(error: unknown): void;
}

/** The thread that receives on a socket. */
class Thread {
  readonly #control: Int32Array;
  readonly #wake: () => void;
  readonly #leave: () => void;
  readonly #exited: Promise<unknown>;

  private constructor(worker: Worker, control: Int32Array, leave: () => void, wake: () => void) {
    this.#control = control;
    this.#leave = leave;
    this.#wake = wake;
    this.#exited = new Promise((resolve) => worker.once("exit", resolve));
  }

  /** Resolves when the thread waits for go(). */
  static async start(fd: number, deps: HotUdpDeps, events: ThreadEvents): Promise<Thread> {
    const { hotPath, metrics, datagrams } = deps;
    const control = new Int32Array(new SharedArrayBuffer(controlBytes));
    const counters = HotCounters.forZones(maxZones);
    const { port1, port2 } = new MessageChannel();
    const memory = hotPath.memory;
    const data: HotWorkerData = {
      fd,
      control: control.buffer,
      counters: counters.memory,
      memory,
      tables: port2,
      maxPending: deps.maxPending ?? maxPending,
    };
    const worker = new Worker(workerFile("dns/hot/dnsHot.worker.ts"), {
      name: "dns",
      workerData: data,
      transferList: [port2],
      resourceLimits,
    });
    await once(worker, "message");
    const leave = hotPath.join({
      control,
      counters,
      use: (next) => {
        port1.postMessage(next);
        Atomics.add(control, controlWord.tables, 1);
      },
    });
    const endCollecting = countDropped(metrics, control);
    const thread = new Thread(
      worker,
      control,
      () => {
        leave();
        endCollecting();
        port1.close();
      },
      () => datagrams.wake(fd),
    );
    worker.on("message", (packets: readonly HandedOver[]) => events.handedOver(packets));
    worker.once("error", (error) => {
      thread.#leave();
      events.failed(error);
    });
    port1.unref();
    return thread;
  }

  go(): void {
    Atomics.store(this.#control, controlWord.go, 1);
    Atomics.notify(this.#control, controlWord.go);
  }

  /** A packet that was handed over is answered. */
  taken(): void {
    Atomics.sub(this.#control, controlWord.pending, 1);
  }

  async stop(): Promise<void> {
    Atomics.store(this.#control, controlWord.stop, 1);
    this.go();
    this.#wake();
    await this.#exited;
    this.#leave();
  }
}

/** Makes the thread's count of lost packets a metric. Returns the end of it. */
function countDropped(metrics: Metrics, control: Int32Array): () => void {
  const dropped = metrics.counter(
    "podwire_dns_dropped_total",
    "Counter of queries that were dropped because too many waited for their answers.",
  );
  let seen = 0;
  const collect = () => {
    const now = Atomics.load(control, controlWord.dropped);
    dropped.inc({}, now - seen);
    seen = now;
  };
  const end = metrics.onCollect(collect);
  return () => {
    collect();
    end();
  };
}

function closeSocket(socket: Socket | undefined): Promise<void> {
  return socket ? new Promise((resolve) => socket.close(() => resolve())) : Promise.resolve();
}
