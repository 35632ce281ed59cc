import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import type { Kind } from "../kinds/definition.ts";
import { kinds } from "../kinds/registry.ts";
import { EventWriter } from "../net/event-writer.ts";
import type { StoredObject } from "../object.ts";
import { type Change, Store, type StoreOptions } from "../store/index.ts";
import type { Call } from "./call.ts";
import { parseRequest } from "./request-info.ts";
import { watchObjects } from "./watch.ts";

const configMaps = kinds.find(({ plural }) => plural === "configmaps") as Kind;
const list = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

/** A store that knows how many watch it. */
class CountingStore extends Store {
  watchers = 0;

  override watch(resource: string, revision: number, handler: (change: Change) => void): () => void {
    const stop = super.watch(resource, revision, handler);
    this.watchers++;
    return () => {
      this.watchers--;
      stop();
    };
  }
}

interface Event {
  readonly type: string;
  readonly object: StoredObject & { code?: number };
}

let store: CountingStore;
let gone: AbortController;
const opened: AbortController[] = [];
afterEach(() => {
  for (const controller of opened.splice(0)) controller.abort();
});

function open(options?: StoreOptions): void {
  store = new CountingStore(options);
}

function put(name: string, bytes = 10, labels: Record<string, string> = {}, letter = "x") {
  const data = { value: letter.repeat(bytes) };
  return store.put(configMaps.storage, `default/${name}`, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default", labels },
    data,
  });
}

/** Begins a watch whose bytes go to a stream that nobody has read from yet. */
function begin(query: string, kind = configMaps): { out: PassThrough; sent: Promise<void> | undefined } {
  gone = new AbortController();
  opened.push(gone);
  const url = `/api/v1/namespaces/default/configmaps?${query}`;
  const call = { method: "GET", url, headers: {} } as unknown as Call;
  const out = new PassThrough();
  gone.signal.addEventListener("abort", () => out.destroy());
  const reply = watchObjects(store, kind, parseRequest("GET", url), call);
  return { out, sent: reply.stream?.(new EventWriter().sink(out), gone.signal) };
}

async function* events(out: PassThrough): AsyncGenerator<Event> {
  let parts: Buffer[] = [];
  for await (const chunk of out as AsyncIterable<Buffer>) {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield JSON.parse(Buffer.concat([...parts, rest.subarray(0, end)]).toString()) as Event;
      parts = [];
      rest = rest.subarray(end + 1);
    }
    parts.push(rest);
  }
}

async function take(from: AsyncGenerator<Event>, count: number): Promise<Event[]> {
  const out: Event[] = [];
  while (out.length < count) {
    const { value, done } = await from.next();
    if (done) break;
    out.push(value as Event);
  }
  return out;
}

const names = (all: readonly Event[]) => all.map(({ type, object }) => `${type} ${object.metadata.name ?? ""}`.trim());
const megabyte = 1_000_000;

describe("watches that begin with much", () => {
  it.each([list, "watch=1"])("%s: 20 MB of objects come whole, to a client that reads slowly too", async (query) => {
    open();
    const all = Array.from({ length: 20 }, (_, i) => `m${String(i).padStart(2, "0")}`);
    for (const name of all) put(name, megabyte);
    const from = store.revision;
    const { out } = begin(query);
    const read = events(out);
    const first = await take(read, 3);
    // Changes from now on come after what there was, each once and in their order.
    put("m00", 5);
    put("late", 5);
    store.remove(configMaps.storage, "default/m01");
    const others = await take(read, 17);
    expect(names([...first, ...others])).toEqual(all.map((name) => `ADDED ${name}`));
    expect(others.every(({ object }) => JSON.stringify(object).length > megabyte)).toBe(true);
    if (query === list) {
      expect(await take(read, 1)).toMatchObject([
        {
          type: "BOOKMARK",
          object: {
            metadata: { resourceVersion: String(from), annotations: { "k8s.io/initial-events-end": "true" } },
          },
        },
      ]);
    }
    expect(names(await take(read, 3))).toEqual(["MODIFIED m00", "ADDED late", "DELETED m01"]);
    put("last");
    expect(names(await take(read, 1))).toEqual(["ADDED last"]);
  });

  it("wait for the client instead of filling the memory, and let others have their turn", async () => {
    open();
    for (let i = 0; i < 20; i++) put(`m${i}`, megabyte);
    const { out, sent } = begin(list);
    let settled = false;
    void sent?.then(() => {
      settled = true;
    });
    // Whatever is sent without waiting is sent by then.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    expect(out.writableLength + out.readableLength).toBeLessThan(3 * megabyte);
  });

  it("send more than 16 MiB of remembered changes", async () => {
    open();
    const from = store.revision;
    // The store remembers 8 Mi characters, which here are three bytes each.
    for (let i = 0; i < 16; i++) put(`m${i}`, 480_000, {}, "界");
    await store.settled();
    const read = events(begin(`watch=1&resourceVersion=${from}`).out);
    expect(names(await take(read, 16))).toEqual(Array.from({ length: 16 }, (_, i) => `ADDED m${i}`));
  });

  it("tell a client that falls behind what is remembered to list again: 410", async () => {
    open({ historyLimit: 3 });
    for (let i = 0; i < 5; i++) put(`m${i}`, megabyte);
    const read = events(begin("watch=1").out);
    await take(read, 1);
    for (let i = 0; i < 5; i++) put("changes");
    expect(names((await take(read, 4)).slice(0, 4))).toEqual(["ADDED m1", "ADDED m2", "ADDED m3", "ADDED m4"]);
    expect(await take(read, 2)).toMatchObject([{ type: "ERROR", object: { code: 410, reason: "Expired" } }]);
    expect(store.watchers).toBe(0);
  });
});

describe("watches that end leave nothing in the store", () => {
  it("the client goes before, while and after it is sent what there is", async () => {
    open();
    for (let i = 0; i < 5; i++) put(`m${i}`, megabyte);
    const early = begin(list);
    gone.abort();
    await early.sent;
    expect(store.watchers).toBe(0);
    const amid = begin(list);
    await take(events(amid.out), 1);
    gone.abort();
    await amid.sent;
    expect(store.watchers).toBe(0);
    const late = begin(list);
    await take(events(late.out), 6);
    await late.sent;
    expect(store.watchers).toBe(1);
    gone.abort();
    expect(store.watchers).toBe(0);
  });

  it("the kind is gone already", async () => {
    open();
    const retired = AbortSignal.abort();
    const custom = { retired } as NonNullable<Kind["custom"]>;
    const { out, sent } = begin("watch=1", { ...configMaps, custom });
    await sent;
    expect(await take(events(out), 1)).toEqual([]);
    expect(store.watchers).toBe(0);
  });

  it("the client reads nothing of 16 MiB of changes", async () => {
    open();
    const { sent } = begin("watch=1");
    await sent;
    expect(store.watchers).toBe(1);
    for (let i = 0; i < 20; i++) put(`m${i}`, megabyte);
    await store.settled();
    expect(store.watchers).toBe(0);
  });
});

it("an object that leaves a selection is shown as it was, with the revision at which it left", async () => {
  open();
  put("leaves", 3, { tier: "x" });
  const read = events(begin("watch=1&labelSelector=tier%3Dx").out);
  await take(read, 1);
  const { revision } = put("leaves", 3, { tier: "y" }, "new");
  // apiserver/pkg/storage/cacher/cache_watcher.go: the previous object with the event's resourceVersion.
  expect(await take(read, 1)).toMatchObject([
    {
      type: "DELETED",
      object: { metadata: { labels: { tier: "x" }, resourceVersion: String(revision) }, data: { value: "xxx" } },
    },
  ]);
});
