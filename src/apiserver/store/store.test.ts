import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoredObject } from "../object.ts";
import { type Change, CompactedError, Store } from "./index.ts";

const object = (name: string, value: number): StoredObject => ({
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name },
  value,
});

describe("store: revisions, history, watches", () => {
  it("counts one revision over all resources", () => {
    const store = new Store();
    const a = store.put("a", "x", object("x", 1));
    const b = store.put("b", "y", object("y", 1));
    expect(b.revision).toBe(a.revision + 1);
    expect(b.object.metadata.resourceVersion).toBe(String(b.revision));
    expect(store.revision).toBe(b.revision);
  });

  it("shows a list as it was at an earlier revision", () => {
    const store = new Store();
    store.put("a", "n/1", object("1", 1));
    const then = store.put("a", "n/2", object("2", 1)).revision;
    store.put("a", "n/1", object("1", 2));
    store.remove("a", "n/2");
    store.put("a", "n/0", object("0", 1));
    const values = store.listAt("a", then).map((e) => [e.key, e.object.value]);
    expect(values).toEqual([
      ["n/1", 1],
      ["n/2", 1],
    ]);
    expect(store.list("a").map((e) => e.key)).toEqual(["n/0", "n/1"]);
  });

  it("replays the past to a watch and then tells of what comes", async () => {
    const store = new Store();
    const from = store.put("a", "1", object("1", 1)).revision;
    store.put("a", "1", object("1", 2));
    await store.settled();
    const seen: string[] = [];
    const stop = store.watch("a", from, (c: Change) => seen.push(`${c.type} ${c.entry.object.value}`));
    store.put("b", "other", object("other", 1));
    store.remove("a", "1");
    await store.settled();
    stop();
    store.put("a", "1", object("1", 3));
    await store.settled();
    expect(seen).toEqual(["MODIFIED 2", "DELETED 2"]);
  });

  it("neither repeats nor loses a change when a watch starts before it is published", async () => {
    const store = new Store();
    store.put("a", "1", object("1", 1));
    const seen: number[] = [];
    store.watch("a", 0, (c) => seen.push(c.revision));
    await store.settled();
    expect(seen).toEqual([2]);
  });

  it("refuses a watch and a list from before what it remembers", () => {
    const store = new Store({ historyLimit: 3 });
    for (let i = 0; i < 10; i++) store.put("a", "1", object("1", i));
    expect(() => store.watch("a", 3, () => {})).toThrow(CompactedError);
    expect(() => store.listAt("a", 3)).toThrow(CompactedError);
    expect(store.listAt("a", store.revision - 3).map((e) => e.object.value)).toEqual([6]);
  });

  it("remembers no more than some megabytes of huge objects", () => {
    const store = new Store();
    const big = "x".repeat(1_000_000);
    for (let i = 0; i < 20; i++) store.put("a", "1", { ...object("1", i), big });
    expect(() => store.watch("a", store.revision - 12, () => {})).toThrow(CompactedError);
    expect(store.listAt("a", store.revision - 5).map((e) => e.object.value)).toEqual([14]);
  });

  it("gives any past state that it remembers (property)", () => {
    const step = fc.record({ key: fc.constantFrom("a", "b", "c", "d"), remove: fc.boolean(), value: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const store = new Store({ historyLimit: 25 });
        const model = new Map<string, number>();
        const states = new Map<number, string>();
        for (const { key, remove, value } of steps) {
          if (remove) {
            store.remove("r", key);
            model.delete(key);
          } else {
            store.put("r", key, object(key, value));
            model.set(key, value);
          }
          states.set(store.revision, JSON.stringify([...model].sort()));
        }
        for (const [revision, expected] of states) {
          try {
            const found = store.listAt("r", revision).map((e) => [e.key, e.object.value]);
            expect(JSON.stringify(found)).toBe(expected);
          } catch (error) {
            expect(error).toBeInstanceOf(CompactedError);
            expect(store.revision - revision).toBeGreaterThanOrEqual(25);
          }
        }
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

describe("store: the log", () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "podwire-store-"));
    file = join(directory, "log");
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it.each(["process", "disk"] as const)(
    "returns objects and revisions after a restart (durability %s)",
    async (durability) => {
      const store = new Store({ logFile: file, durability });
      store.put("a", "n/1", object("1", 1));
      store.put("a", "n/2", object("2", 1));
      const last = store.remove("a", "n/1")?.revision;
      await store.settled();
      const again = new Store({ logFile: file, durability });
      expect(again.revision).toBe(last);
      expect(again.list("a").map((e) => e.object)).toEqual([
        { ...object("2", 1), metadata: { name: "2", resourceVersion: "3" } },
      ]);
      again.close();
      store.close();
    },
  );

  it("returns objects whose names have white space in them", () => {
    const names = ["my role", "two\nlines", "a%20b", " x ", "é\u2028"];
    const store = new Store({ logFile: file });
    for (const name of names) store.put("a", name, object(name, 1));
    store.put("a", "gone away", object("gone away", 1));
    store.remove("a", "gone away");
    store.close();
    const again = new Store({ logFile: file });
    expect(again.list("a").map((e) => [e.key, e.object.metadata.name])).toEqual(names.sort().map((n) => [n, n]));
    again.close();
  });

  it("lets a watch go on across a restart", async () => {
    const store = new Store({ logFile: file });
    const from = store.put("a", "1", object("1", 1)).revision;
    store.put("a", "1", object("1", 2));
    store.remove("a", "1");
    store.close();
    const again = new Store({ logFile: file });
    const seen: string[] = [];
    again.watch("a", from, (c) =>
      seen.push(`${c.type} ${c.entry.object.value} ${c.entry.object.metadata.resourceVersion}`),
    );
    expect(seen).toEqual(["MODIFIED 2 3", "DELETED 2 4"]);
    again.close();
  });

  it("keeps every whole record of a log cut anywhere (property)", () => {
    const store = new Store({ logFile: file });
    for (let i = 0; i < 20; i++) store.put("a", `k${i}`, object(`k${i}`, i));
    store.close();
    const bytes = readFileSync(file);
    fc.assert(
      fc.property(fc.nat(bytes.length), (length) => {
        writeFileSync(file, bytes.subarray(0, length));
        const again = new Store({ logFile: file });
        const whole =
          bytes
            .subarray(0, length)
            .toString()
            .match(/^\w+ \d+ P .*\n/gm)?.length ?? 0;
        expect(again.count("a")).toBe(whole);
        again.put("a", "next", object("next", 1));
        again.close();
        const third = new Store({ logFile: file });
        expect(third.count("a")).toBe(whole + 1);
        third.close();
      }),
      { seed: 11, numRuns: 60 },
    );
  });
});
