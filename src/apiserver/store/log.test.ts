import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoredObject } from "../object.ts";
import { CompactedError, LogDamagedError, Store, StoreFailedError } from "./index.ts";
import { type LogFiles, realFiles } from "./log-files.ts";

const object = (name: string, value: number): StoredObject => ({
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name },
  value,
});

let directory: string;
let file: string;
const open: Store[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "podwire-log-"));
  file = join(directory, "store.log");
});
afterEach(() => {
  for (const store of open.splice(0)) store.close();
  rmSync(directory, { recursive: true, force: true });
});

function opened(options: ConstructorParameters<typeof Store>[0] = {}): Store {
  const store = new Store({ logFile: file, durability: "disk", ...options });
  open.push(store);
  return store;
}

/** Writes each group of values, one after the other, and closes. */
async function written(...groups: number[][]): Promise<Buffer> {
  const store = new Store({ logFile: file, durability: "disk" });
  for (const values of groups) {
    for (const value of values) store.put("a", `k${value}`, object(`k${value}`, value));
    await store.settled();
  }
  store.close();
  return readFileSync(file);
}

const keys = (store: Store): string[] => store.list("a").map((entry) => entry.key);

describe("a log whose end was torn by a crash", () => {
  it("loses the torn record alone, at whatever byte it was cut or went empty", async () => {
    const bytes = await written([1], [2], [3]);
    const last = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
    for (let at = last; at < bytes.length; at++) {
      const emptied = Buffer.from(bytes);
      emptied.fill(0, at);
      for (const torn of [bytes.subarray(0, at), emptied]) {
        writeFileSync(file, torn);
        const store = new Store({ logFile: file, durability: "disk" });
        expect(keys(store)).toEqual(["k1", "k2"]);
        expect(store.tornBytes).toBe(torn.length - last);
        // The next record stands where the torn one was.
        store.put("a", "k4", object("k4", 4));
        store.close();
        const again = new Store({ logFile: file });
        expect([keys(again), again.tornBytes]).toEqual([["k1", "k2", "k4"], 0]);
        again.close();
      }
    }
  });

  it("is cut where a block of the last batch never reached the disk, though later ones did", async () => {
    const long = Array.from({ length: 60 }, (_, i) => i + 10);
    const bytes = await written([1], long);
    const start = bytes.indexOf("k30");
    const hole = Math.ceil(start / 512) * 512;
    bytes.fill(0, hole, hole + 512);
    writeFileSync(file, bytes);
    const store = opened();
    expect(store.get("a", "k1")).toBeDefined();
    expect(store.get("a", "k69")).toBeUndefined();
    expect(store.tornBytes).toBeGreaterThan(512);
  });
});

describe("a log that is damaged where it was whole", () => {
  it("is refused with file and place, and stays as it is", async () => {
    const bytes = await written([1], [2], [3]);
    const at = bytes.indexOf('"value":2');
    const record = bytes.lastIndexOf("\n", at) + 1;
    bytes[at + 8] = "7".charCodeAt(0);
    writeFileSync(file, bytes);
    const attempt = () => new Store({ logFile: file });
    expect(attempt).toThrow(LogDamagedError);
    expect(attempt).toThrow(`${file}: the record at byte ${record} is damaged`);
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(readdirSync(directory)).toEqual(["store.log"]);
  });

  it("is refused whichever byte of an earlier record changes", async () => {
    const whole = await written([1], [2]);
    const [, second = 0] = [...whole.toString().matchAll(/^\w+ B /gm)].map((match) => match.index);
    for (let at = 0; at < second; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ 0x01;
      writeFileSync(file, bytes);
      expect(() => new Store({ logFile: file })).toThrow(LogDamagedError);
    }
  });
});

/** A disk that fails when told to. */
function failingDisk() {
  const disk = { write: undefined as Error | undefined, sync: undefined as Error | undefined };
  const files: LogFiles = {
    ...realFiles,
    write(fd, bytes, at) {
      if (!disk.write) return realFiles.write(fd, bytes, at);
      realFiles.write(fd, bytes.subarray(0, bytes.length >> 1), at);
      throw disk.write;
    },
    sync(fd, done) {
      if (disk.sync) setImmediate(() => done(disk.sync as Error));
      else realFiles.sync(fd, done);
    },
  };
  return { disk, files };
}

const errno = (code: string, text: string) => Object.assign(new Error(`${code}: ${text}, write`), { code });

describe("a disk that fails", () => {
  it("keeps nothing while it is full, says so, and goes on when there is space", async () => {
    const { disk, files } = failingDisk();
    const store = opened({ log: { files, retryMs: 5 } });
    store.put("a", "k1", object("k1", 1));
    await store.settled();
    const told: string[] = [];
    store.watch("a", store.revision, (change) => told.push(change.entry.key));
    disk.write = errno("ENOSPC", "no space left on device");
    store.put("a", "k2", object("k2", 2));
    await expect(store.settled()).rejects.toThrow(
      "the store cannot keep anything at present: ENOSPC: no space left on device",
    );
    expect(() => store.put("a", "k3", object("k3", 3))).toThrow(StoreFailedError);
    expect(() => store.remove("a", "k1")).toThrow(StoreFailedError);
    await expect(store.readable()).rejects.toThrow(StoreFailedError);
    expect(told).toEqual([]);
    // A crash now: the half that was written is no record.
    const after = new Store({ logFile: file });
    expect(keys(after)).toEqual(["k1"]);
    after.close();
    disk.write = undefined;
    await expect.poll(() => store.failure, { interval: 5 }).toBeUndefined();
    await store.settled();
    expect(told).toEqual(["k2"]);
    store.put("a", "k3", object("k3", 3));
    await store.settled();
    store.close();
    open.pop();
    expect(keys(opened())).toEqual(["k1", "k2", "k3"]);
  });

  it("acknowledges nothing any more after a failed sync", async () => {
    const { disk, files } = failingDisk();
    const store = opened({ log: { files, retryMs: 5 } });
    disk.sync = errno("EIO", "i/o error");
    store.put("a", "k1", object("k1", 1));
    await expect(store.settled()).rejects.toThrow("EIO");
    disk.sync = undefined;
    expect(() => store.put("a", "k2", object("k2", 2))).toThrow(StoreFailedError);
    await expect(store.settled()).rejects.toThrow("EIO");
  });
});

describe("rewriting a log that is mostly past", () => {
  const fill = async (store: Store, rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 40; i++) store.put("a", `k${i}`, { ...object(`k${i}`, round), big: "x".repeat(500) });
      await store.settled();
    }
  };

  it("forgets the past and keeps the rest, while writes go on", async () => {
    const store = opened({ rewriteFrom: 100_000 });
    await fill(store, 60);
    await expect.poll(() => statSync(file).size).toBeLessThan(500_000);
    store.put("a", "last", object("last", 1));
    store.remove("a", "k0");
    await store.settled();
    const { revision } = store;
    store.close();
    open.pop();
    const again = opened();
    expect([again.revision, again.count("a")]).toEqual([revision, 40]);
    for (let i = 1; i < 40; i++) expect(again.get("a", `k${i}`)?.object.value).toBe(59);
    expect(() => again.watch("a", 5, () => {})).toThrow(CompactedError);
    expect(existsSync(`${file}.new`)).toBe(false);
  });

  it("is safe at every step: what lies on the disk then opens with everything acknowledged", async () => {
    let acknowledged = 0;
    let looks = 0;
    const look = () => {
      looks++;
      const copy = join(directory, "copy.log");
      writeFileSync(copy, readFileSync(file));
      const found = new Store({ logFile: copy });
      expect(found.revision).toBeGreaterThanOrEqual(acknowledged);
      found.close();
    };
    const files: LogFiles = {
      ...realFiles,
      write(fd, bytes, at) {
        look();
        realFiles.write(fd, bytes, at);
      },
      replace(from, to) {
        look();
        realFiles.replace(from, to);
        look();
      },
      close(fd) {
        look();
        realFiles.close(fd);
      },
    };
    const store = opened({ rewriteFrom: 50_000, log: { files } });
    for (let i = 0; i < 40; i++) {
      await fill(store, 1);
      acknowledged = store.revision;
    }
    expect(looks).toBeGreaterThan(50);
    await expect.poll(() => statSync(file).size).toBeLessThan(300_000);
  });

  it("is given up when there is no space for it, and the old log goes on", async () => {
    let attempts = 0;
    const files: LogFiles = {
      ...realFiles,
      open(path, empty) {
        if (!path.endsWith(".new")) return realFiles.open(path, empty);
        attempts++;
        throw errno("ENOSPC", "no space left on device");
      },
    };
    const store = opened({ rewriteFrom: 50_000, log: { files } });
    await fill(store, 40);
    expect(attempts).toBeGreaterThan(0);
    expect(attempts).toBeLessThan(8);
    const { revision } = store;
    store.close();
    open.pop();
    expect(opened().revision).toBe(revision);
  });

  it("copies a slice in each turn of the event loop, ten thousand objects or not", async () => {
    let turn = 0;
    let ticking = setImmediate(function tick() {
      turn++;
      ticking = setImmediate(tick);
    });
    let copy: number | undefined;
    const copied = new Map<number, number>();
    const files: LogFiles = {
      ...realFiles,
      open(path, empty) {
        const fd = realFiles.open(path, empty);
        if (path.endsWith(".new")) copy = fd;
        return fd;
      },
      write(fd, bytes, at) {
        if (fd === copy) copied.set(turn, (copied.get(turn) ?? 0) + bytes.length);
        realFiles.write(fd, bytes, at);
      },
      replace(from, to) {
        copy = undefined;
        realFiles.replace(from, to);
      },
    };
    const store = opened({ rewriteFrom: 1 << 20, log: { files } });
    const text = "x".repeat(500);
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 10_000; i++) {
        store.put("a", `k${i}`, { ...object(`k${i}`, round), text });
        if (i % 500 === 0) await store.settled();
      }
    }
    await expect.poll(() => existsSync(`${file}.new`)).toBe(false);
    clearImmediate(ticking);
    const sizes = [...copied.values()];
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(6_000_000);
    expect(Math.max(...sizes)).toBeLessThan(1 << 20);
  });
});
