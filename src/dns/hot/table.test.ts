import { once } from "node:events";
import { MessageChannel, Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage } from "#wire/dns/index.ts";
import { queryBytes } from "../testing.ts";
import { tableEntry } from "./entries.ts";
import { controlBytes, controlWord, type TableMemory } from "./layout.ts";
import { udpLimits } from "./limits.ts";
import { HotReader } from "./reader.ts";
import { AnswerTable, type TableEntry } from "./table.ts";

/** An entry of so many addresses that are all the same. */
function entry(name: string, value: number, count: number): TableEntry {
  const addresses = Array.from({ length: count }, () => new Uint8Array(4).fill(value));
  const made = tableEntry({ kind: "addresses", name, type: 1, ttl: value, addresses }, { zone: 0, shuffles: false });
  if (!made) throw new Error(`no entry of ${name}`);
  return made;
}

/** What a reader finds under a name: the value and the number of its addresses. */
function look(reader: HotReader, name: string): string {
  const memory = new Uint8Array(4096);
  const packet = queryBytes(`${name} A`);
  memory.set(packet);
  const length = reader.answer(memory, 0, packet.length, udpLimits.ipv4);
  if (length < 0) return "nothing";
  const { answers } = decodeMessage(memory.subarray(0, length));
  return `${answers[0]?.ttl} ${answers.length}`;
}

const none = { count: () => {} };

describe("the table of ready answers", () => {
  it("holds what was put last, whatever was put before", () => {
    const owner = fc.constantFrom("a", "b", "c", "d");
    const names = fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 8 });
    const step = fc.tuple(owner, names, fc.integer({ min: 1, max: 250 }), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const reader = new HotReader(none, 1);
        const table = new AnswerTable((memory) => reader.use(memory));
        reader.use(table.memory);
        const model = new Map<string, { readonly owner: string; readonly text: string }>();
        for (const [who, numbers, value, count] of steps) {
          for (const [name, held] of model) if (held.owner === who) model.delete(name);
          for (const i of numbers) model.set(`n${i}.example`, { owner: who, text: `${value} ${count}` });
          table.put(
            who,
            numbers.map((i) => entry(`n${i}.example.`, value, count)),
          );
        }
        for (let i = 0; i <= 40; i++) {
          const name = `n${i}.example`;
          expect(look(reader, name)).toBe(model.get(name)?.text ?? "nothing");
        }
        expect(table.size).toBe(model.size);
      }),
      { seed: 53, numRuns: 60 },
    );
  });

  it("grows, and uses memory again that nobody reads any more", () => {
    const reader = new HotReader(none, 1);
    const table = new AnswerTable((memory) => reader.use(memory));
    const size = 2000;
    for (let i = 0; i < size; i++) table.put(`${i}`, [entry(`n${i}.example.`, i % 200, 3)]);
    for (let i = 0; i < size; i += 7) expect(look(reader, `n${i}.example`)).toBe(`${i % 200} 3`);
    const { bytes } = table;
    for (let turn = 0; turn < 5000; turn++) table.put("1", [entry("n1.example.", turn % 200, 3 + (turn % 2))]);
    expect(table.bytes).toBe(bytes);
    for (let i = 0; i < size; i++) table.put(`${i}`, []);
    expect([table.size, look(reader, "n1.example")]).toEqual([0, "nothing"]);
  });

  it("takes no more memory for names that come and go, of whatever size", () => {
    const table = new AnswerTable();
    const kept = 100;
    for (let i = 0; i < 20_000; i++) {
      table.put(`${i}`, [entry(`${"n".repeat(1 + ((i * 7) % 60))}.x${i}.example.`, 1, 1 + ((i * 11) % 13))]);
      table.put(`${i - kept}`, []);
    }
    expect(table.size).toBe(kept);
    // A hundred entries have 350 bytes each at most; a new heap has room for three times as many.
    expect(table.bytes).toBeLessThan(2 * 3 * kept * 350 + 64 * 1024);
  });

  it("leaves alone what a reader may still be reading, until it has been between two batches", () => {
    const control = new Int32Array(new SharedArrayBuffer(controlBytes));
    const table = new AnswerTable();
    table.addReader(control);
    table.put("a", [entry("a.example.", 1, 1)]);
    const { slots, heap } = table.memory;
    const at = new Int32Array(slots).find((offset) => offset > 0) ?? 0;
    const bytes = () => Buffer.from(new Uint8Array(heap).slice(at, at + 64)).toString("hex");
    const before = bytes();
    const change = () => {
      for (let value = 2; value < 50; value++) table.put("a", [entry("a.example.", value, 1)]);
      for (let value = 2; value < 50; value++) table.put("b", [entry("b.example.", value, 1)]);
    };
    Atomics.store(control, controlWord.epoch, 1); // in the middle of a batch
    change();
    expect(bytes()).toBe(before);
    Atomics.store(control, controlWord.epoch, 3); // in the middle of the next one
    change();
    expect(bytes()).not.toBe(before);
    expect(table.memory.heap).toBe(heap);
  });

  it("is never seen half changed by a thread that reads at the same time", async () => {
    const control = new Int32Array(new SharedArrayBuffer(controlBytes));
    const { port1, port2 } = new MessageChannel();
    const share = (memory: TableMemory) => {
      port1.postMessage(memory);
      Atomics.add(control, controlWord.tables, 1);
    };
    const table = new AnswerTable(share);
    table.addReader(control);
    const put = (i: number, value: number) => table.put(`${i}`, [entry(`n${i}.example.`, value, 1 + (value % 20))]);
    for (let i = 0; i < 10; i++) put(i, 1);
    const packets = Array.from({ length: 10 }, (_, i) => queryBytes(`n${i}.example A`));
    const modules = { reader: new URL("./reader.ts", import.meta.url).href };
    const workerData = { modules, control: control.buffer, memory: table.memory, tables: port2, packets };
    const worker = new Worker(reading, { eval: true, workerData, transferList: [port2] });
    await once(worker, "message");
    const done = once(worker, "message") as Promise<[{ readonly reads: number; readonly wrong: string[] }]>;
    // Until enough was read: while a name changes, others are made, so that the table is made anew now and then.
    for (let turn = 0; Atomics.load(control, controlWord.pending) < 30_000 && turn < 2_000_000; turn++) {
      put(turn % 10, turn % 250);
      if (turn % 5 === 0) put(10 + ((turn / 5) % 4000), turn % 250);
      if (turn % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    Atomics.store(control, controlWord.stop, 1);
    const [{ reads, wrong }] = await done;
    expect(wrong).toEqual([]);
    expect(reads).toBeGreaterThan(1000);
    await worker.terminate();
    port1.close();
  });
});

/** Reads names in turn as the hot path's thread does: every record of an answer has the same value, as many as it says. */
const reading = `
const { workerData, parentPort, receiveMessageOnPort } = require("node:worker_threads");
const { modules, control, memory, tables, packets } = workerData;
import(modules.reader).then(({ HotReader }) => {
  const words = new Int32Array(control);
  const reader = new HotReader({ count: () => {} }, 1);
  reader.use(memory);
  const buffer = new Uint8Array(4096);
  const wrong = [];
  let reads = 0;
  let known = 0;
  parentPort.postMessage("ready");
  while (Atomics.load(words, ${controlWord.stop}) === 0) {
    Atomics.add(words, ${controlWord.epoch}, 1);
    const newest = Atomics.load(words, ${controlWord.tables});
    if (newest !== known) {
      known = newest;
      for (let got = receiveMessageOnPort(tables); got; got = receiveMessageOnPort(tables)) reader.use(got.message);
    }
    for (let i = 0; i < 32; i++) {
      const packet = packets[reads++ % packets.length];
      buffer.set(packet);
      const length = reader.answer(buffer, 0, packet.length, { family: 1, smallest: 4096, largest: 4096 });
      const value = buffer[packet.length + 12];
      let fits = length === packet.length + 16 * (1 + (value % 20)) && buffer[7] === 1 + (value % 20);
      for (let at = packet.length; at < length; at += 16)
        for (let j = 12; j < 16; j++) fits &&= buffer[at + j] === value;
      if (!fits && wrong.length < 5) wrong.push(Buffer.from(buffer.subarray(0, Math.max(length, 20))).toString("hex"));
    }
    Atomics.add(words, ${controlWord.epoch}, 1);
    Atomics.store(words, ${controlWord.pending}, reads);
  }
  parentPort.postMessage({ reads, wrong });
});
`;
