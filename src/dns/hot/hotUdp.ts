import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import { workerFile } from "#base/entry.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type * as Datagrams from "#kernel/datagrams/index.ts";
import type { Answerer } from "../core/index.ts";
import { droppedCounter, type Listener, maxPending, UdpQueries } from "../transport/udp.ts";
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

/** Between a failure to receive and the next attempt, in milliseconds. */
const pauseMs = 1000;
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
 * A UDP port whose packets the plugins' thread takes at first, and from the same kernel socket, so that none is lost, a
 * thread of its own, once queries come so often that it pays. Answers go out from the address that was asked.
 * @throws SysError when the port cannot be had
 */
export async function listenHotUdp(host: string, port: number, deps: HotUdpDeps): Promise<Listener> {
  const wanted = deps.answerer.sites.flatMap(({ plugins }) => plugins.map(({ sockets }) => sockets ?? 1));
  const descriptors = deps.datagrams.openDatagrams(host, port, Math.max(1, ...wanted));
  const group: Group = { deps, threads: 0 };
  const sockets = descriptors.map((fd) => new HotUdp(fd, group));
  for (const socket of sockets) socket.listen();
  return {
    port: deps.datagrams.portOf(descriptors[0] as number),
    close: async () => void (await Promise.all(sockets.map((socket) => socket.close()))),
  };
}

/** One socket of the port. */
class HotUdp {
  readonly #group: Group;
  readonly #deps: HotUdpDeps;
  readonly #fd: number;
  readonly #queries: UdpQueries;
  #endListening = () => {};
  #thread: Thread | undefined;
  #starting: Promise<void> | undefined;
  /** Queries of the present window, and when it began. */
  #count = 0;
  #windowBegan = 0;
  #closed = false;

  constructor(fd: number, group: Group) {
    this.#fd = fd;
    this.#group = group;
    this.#deps = group.deps;
    const { answerer, metrics, maxPending: most } = group.deps;
    this.#queries = new UdpQueries(answerer, () => droppedCounter(metrics).inc(), most);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting;
    this.#endListening();
    await this.#thread?.stop();
    this.#deps.datagrams.closeDatagrams(this.#fd);
  }

  /** Receives on the plugins' thread. */
  listen(): void {
    const { datagrams } = this.#deps;
    const batch = new datagrams.DatagramBatch(this.#fd);
    this.#endListening = datagrams.onReadable(this.#fd, () => this.#receive(batch));
  }

  #receive(batch: Datagrams.DatagramBatch): void {
    for (let i = 0, count = this.#receiveInto(batch); i < count; i++) {
      this.#countRate();
      this.#answer({ envelope: batch.envelope(i), packet: batch.packet(i) });
    }
  }

  /** Packets that have come; none, and a pause, for a failure of the kernel that is not expected to pass. */
  #receiveInto(batch: Datagrams.DatagramBatch): number {
    try {
      return batch.receiveNow();
    } catch (error) {
      this.#deps.log.error("Queries cannot be received", { error: errorMessage(error) });
      this.#endListening();
      const again = setTimeout(() => this.listen(), pauseMs);
      this.#endListening = () => clearTimeout(again);
      return 0;
    }
  }

  #answer({ envelope, packet }: HandedOver): void {
    const { datagrams } = this.#deps;
    const peer = datagrams.peerOf(envelope);
    if (peer.port === 0) return;
    this.#queries.answer(packet, peer, (bytes) => {
      if (!this.#closed) datagrams.reply(this.#fd, envelope, bytes);
    });
  }

  #countRate(): void {
    const now = performance.now();
    if (now - this.#windowBegan > windowMs) {
      this.#windowBegan = now;
      this.#count = 0;
    }
    if (++this.#count >= (this.#deps.startAt * windowMs) / 1000) this.#maybeStart();
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
      failed: (error) => this.#fallBack(error),
    });
    if (this.#closed) return await thread.stop();
    this.#endListening();
    this.#thread = thread;
    this.#deps.datagrams.setBlocking(this.#fd);
    thread.go();
    this.#threads(1);
  }

  /** The thread ended by itself: the socket goes back to the plugins' thread, for good. */
  #fallBack(error: unknown): void {
    if (this.#closed) return;
    this.#thread = undefined;
    this.#threads(-1);
    this.#endListening();
    this.#deps.log.error("The hot path failed; queries go to the plugins", { error: errorMessage(error) });
    this.listen();
  }

  #threads(more: number): void {
    this.#group.threads += more;
    this.#deps.metrics
      .gauge("podwire_dns_hot_path_threads", "Threads that answer what is known in advance.")
      .set(this.#group.threads, { server: this.#deps.hotPath.server });
  }

  #takeOver(packets: readonly HandedOver[]): void {
    for (const packet of packets) {
      this.#thread?.taken();
      this.#answer(packet);
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

  /** A packet that was handed over has come. */
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
  const dropped = droppedCounter(metrics);
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
