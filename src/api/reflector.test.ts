import { afterEach, describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import type { Change } from "./cache.ts";
import { Client } from "./client.ts";
import { Informer } from "./reflector.ts";
import { resources } from "./resources.ts";
import { FakeApi } from "./testing/index.ts";
import type { ConfigMap } from "./types.ts";

const log = createLogger("test", { write: () => {} });
const backoff = { initialMs: 1, maxMs: 5 };
const stops: AbortController[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop.abort();
});

function setUp(options: { watchList?: boolean } = {}) {
  const api = new FakeApi();
  api.watchList = options.watchList ?? true;
  const client = new Client(api);
  const stop = new AbortController();
  stops.push(stop);
  const informer = new Informer(client, resources.configMaps, { backoff }, { log, signal: stop.signal });
  const seen: string[] = [];
  informer.onChange(({ type, object }: Change<ConfigMap>) =>
    seen.push(`${type} ${object.metadata.name} ${object.data?.["v"]}`),
  );
  const create = (name: string, v = "1") =>
    client.create(resources.configMaps, { metadata: { name, namespace: "default" }, data: { v } });
  const set = (name: string, v: string) =>
    client.patch(resources.configMaps, name, "default", { data: { v } }, { type: "merge" });
  const remove = (name: string) => client.delete(resources.configMaps, name, "default");
  const state = () =>
    informer
      .list()
      .map(({ metadata, data }) => `${metadata.name}=${data?.["v"]}`)
      .sort();
  return { api, client, stop, informer, seen, create, set, remove, state };
}

const until = (what: () => boolean) => expect.poll(what, { interval: 1, timeout: 15_000 }).toBe(true);

describe.each([{ watchList: true }, { watchList: false }])("informer, $watchList WatchList", (options) => {
  it("mirrors what is there and what happens then", async () => {
    const { informer, seen, create, set, remove, state } = setUp(options);
    await create("a");
    informer.start();
    await informer.synced;
    expect(state()).toEqual(["a=1"]);
    await create("b");
    await set("a", "2");
    await remove("b");
    await until(() => seen.length === 4);
    expect(seen).toEqual(["ADDED a 1", "ADDED b 1", "MODIFIED a 2", "DELETED b 1"]);
  });

  it("resumes after a dropped watch without listing again", async () => {
    const { api, informer, seen, create, set, state } = setUp(options);
    await create("a");
    informer.start();
    await informer.synced;
    await until(() => api.watchCount === 1);
    api.breakWatches();
    await set("a", "2");
    await until(() => state()[0] === "a=2");
    expect(seen).toEqual(["ADDED a 1", "MODIFIED a 2"]);
    const reads = api.requests.filter(
      (line) => line.includes("sendInitialEvents") || line === "GET /api/v1/configmaps",
    );
    expect(reads.length).toBe(options.watchList ? 1 : 2);
  });

  it("reads everything again after 410 and tells the difference only", async () => {
    const { api, informer, seen, create, set, remove, state } = setUp(options);
    await create("gone");
    await create("kept");
    await create("changed");
    informer.start();
    await informer.synced;
    await until(() => api.watchCount === 1);
    api.onRequest = ({ path }) => {
      if (path.includes("watch")) throw new Error("refused");
    };
    api.breakWatches();
    await remove("gone");
    await set("changed", "2");
    await create("new");
    api.compact();
    api.onRequest = () => {};
    await until(() => state().length === 3 && state().includes("new=1"));
    expect(seen.slice(3).sort()).toEqual(["ADDED new 1", "DELETED gone 1", "MODIFIED changed 2"]);
  });

  it("swallows duplicate events", async () => {
    const { api, informer, seen, create, state } = setUp(options);
    informer.start();
    await informer.synced;
    await until(() => api.watchCount === 1);
    await create("a");
    await until(() => seen.length === 1);
    api.repeatEvents();
    await create("b");
    await until(() => seen.length === 2);
    expect(seen).toEqual(["ADDED a 1", "ADDED b 1"]);
    expect(state()).toEqual(["a=1", "b=1"]);
  });

  it("survives a server that is away at the start", async () => {
    const { api, informer, create, state } = setUp(options);
    let failures = 3;
    api.onRequest = () => {
      if (failures-- > 0) throw new Error("connection refused");
    };
    informer.start();
    await create("a")
      .catch(() => create("a"))
      .catch(() => create("a"))
      .catch(() => create("a"));
    await informer.synced;
    await until(() => state().length === 1);
    expect(informer.health()).toEqual({ synced: true });
  });
});

describe("informer", () => {
  it("shows an object that was replaced by a namesake as deleted and added", async () => {
    const { api, informer, seen, create, remove } = setUp();
    await create("a", "old");
    informer.start();
    await informer.synced;
    api.onRequest = ({ path }) => {
      if (path.includes("watch")) throw new Error("refused");
    };
    await until(() => api.watchCount === 1);
    api.breakWatches();
    await remove("a");
    await create("a", "new");
    api.compact();
    api.onRequest = () => {};
    await until(() => seen.length === 3);
    expect(seen).toEqual(["ADDED a old", "DELETED a old", "ADDED a new"]);
  });

  it("follows a server that lost its state and begins again with lower versions", async () => {
    const { api, informer, create, set, state } = setUp();
    for (const name of ["a", "b", "c"]) await create(name);
    informer.start();
    await informer.synced;
    await until(() => api.watchCount === 1);
    api.reset();
    await create("b", "9");
    await until(() => state().join() === "b=9");
    await set("b", "10");
    await until(() => state().join() === "b=10");
  });

  it("takes own writes in at once, and an older event does not undo them", async () => {
    const { informer, seen, client, create, state } = setUp();
    informer.start();
    await informer.synced;
    informer.assume(await create("a"));
    expect(state()).toEqual(["a=1"]);
    const patched = await client.patch(resources.configMaps, "a", "default", { data: { v: "2" } }, { type: "merge" });
    informer.assume(patched);
    await create("b");
    await until(() => seen.some((line) => line.includes("b")));
    expect(seen).toEqual(["ADDED a 1", "MODIFIED a 2", "ADDED b 1"]);
  });

  it("does not bring a deleted object back by assuming a late answer", async () => {
    const { informer, seen, create, remove, state } = setUp();
    informer.start();
    await informer.synced;
    const late = await create("a");
    await remove("a");
    await until(() => seen.length === 2);
    informer.assume(late);
    expect(state()).toEqual([]);
  });

  it("replays present objects to late handlers and outlives a failing one", async () => {
    const { informer, seen, create } = setUp();
    informer.onChange(() => {
      throw new Error("handler's fault");
    });
    await create("a");
    informer.start();
    await informer.synced;
    const late: string[] = [];
    const end = informer.onChange(({ type, object }) => late.push(`${type} ${object.metadata.name}`));
    expect(late).toEqual(["ADDED a"]);
    end();
    await create("b");
    await until(() => seen.length === 2);
    expect(late).toEqual(["ADDED a"]);
  });

  it("finds objects by index through changes", async () => {
    const { informer, create, set, remove, seen } = setUp();
    const byValue = informer.index((map) => [map.data?.["v"] ?? ""]);
    informer.start();
    await informer.synced;
    await create("a", "x");
    await create("b", "x");
    await set("a", "y");
    await remove("b");
    await until(() => seen.length === 4);
    expect(byValue.get("x")).toEqual([]);
    expect(byValue.get("y").map(({ metadata }) => metadata.name)).toEqual(["a"]);
  });

  it("ends with its signal", async () => {
    const { informer, stop, api } = setUp();
    informer.start();
    await informer.synced;
    stop.abort(new Error("enough"));
    await informer.ended();
    expect(api.watchCount).toBe(0);
  });
});
