import { randomInt } from "node:crypto";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { DatagramBatch, type Envelope } from "#kernel/datagrams/index.ts";
import { sharedClock } from "./clock.ts";
import { HotCounters } from "./counters.ts";
import { controlWord, type HotMemory } from "./layout.ts";
import { udpLimits } from "./limits.ts";
import { HotReader } from "./reader.ts";

/** What the thread is given. */
export interface HotWorkerData {
  readonly fd: number;
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly memory: HotMemory;
  /** Brings later tables (HotMemory). */
  readonly tables: MessagePort;
  /** Packets that may wait for the plugins. */
  readonly maxPending: number;
}

/** A packet for the plugins. */
export interface HandedOver {
  readonly envelope: Envelope;
  readonly packet: Uint8Array;
}

/**
 * The thread that answers from the table: takes what the socket has, answers in place, sends, hands the rest over.
 * It says "ready", waits to be told to go on, and ends when told so.
 */
function serve(): void {
  const { fd, control, counters: counted, memory, tables, maxPending } = workerData as HotWorkerData;
  const words = new Int32Array(control);
  const counters = new HotCounters(counted);
  const reader = new HotReader(counters, randomInt(1, 2 ** 31));
  reader.use(memory.fixed, memory.cached);
  const clock = sharedClock();
  const batch = new DatagramBatch(fd);
  parentPort?.postMessage("ready");
  Atomics.wait(words, controlWord.go, 0);
  let known = 0;
  while (Atomics.load(words, controlWord.stop) === 0) {
    const count = batch.receive();
    if (count === 0) continue;
    const began = clock();
    reader.now = began;
    Atomics.add(words, controlWord.epoch, 1);
    const newest = Atomics.load(words, controlWord.tables);
    if (newest !== known) {
      known = newest;
      takeTables(reader, tables);
    }
    const passed = answerAll(batch, reader, count);
    Atomics.add(words, controlWord.epoch, 1);
    batch.send(count);
    counters.spent(clock() - began);
    if (passed.length > 0) handOver(batch, passed, words, maxPending);
  }
}

/** Answers what can be answered here; returns the numbers of the other packets. */
function answerAll(batch: DatagramBatch, reader: HotReader, count: number): number[] {
  const passed: number[] = [];
  for (let i = 0; i < count; i++) {
    const limits = batch.family(i) === 1 ? udpLimits.ipv4 : udpLimits.ipv6;
    const length = reader.answer(batch.bytes, batch.at(i), batch.lengthOf(i), limits);
    batch.answer(i, length > 0 ? length : 0);
    if (length < 0) passed.push(i);
  }
  return passed;
}

/** The newest of the tables that have come. */
function takeTables(reader: HotReader, tables: MessagePort): void {
  for (let got = receiveMessageOnPort(tables); got; got = receiveMessageOnPort(tables)) {
    const { fixed, cached } = got.message as HotMemory;
    reader.use(fixed, cached);
  }
}

/** Gives packets to the plugins' thread, up to the bound; the others are lost, as a full socket buffer loses them. */
function handOver(batch: DatagramBatch, passed: readonly number[], words: Int32Array, maxPending: number): void {
  const room = maxPending - Atomics.load(words, controlWord.pending);
  const taken = passed.slice(0, Math.max(0, room));
  if (taken.length < passed.length) Atomics.add(words, controlWord.dropped, passed.length - taken.length);
  if (taken.length === 0) return;
  Atomics.add(words, controlWord.pending, taken.length);
  const packets = taken.map((i): HandedOver => {
    return { envelope: batch.envelope(i), packet: batch.packet(i) };
  });
  parentPort?.postMessage(packets);
}

serve();
