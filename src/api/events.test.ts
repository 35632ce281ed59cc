import { afterEach, describe, expect, it, vi } from "vitest";
import { createLogger } from "#base/log.ts";
import { Client } from "./client.ts";
import { createEventRecorder, referenceTo } from "./events.ts";
import { resources } from "./resources.ts";
import { FakeApi } from "./testing/index.ts";
import type { Event } from "./types.ts";

const log = createLogger("test", { write: () => {} });
const pod = { metadata: { name: "web", namespace: "shop", uid: "u1", resourceVersion: "7" }, spec: { containers: [] } };
const about = referenceTo(resources.pods, pod);

function setUp() {
  const api = new FakeApi();
  let seconds = 0;
  const now = () => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds++));
  const recorder = createEventRecorder(new Client(api), { component: "kubelet", host: "node01" }, { log, now });
  const events = () => api.all<Event>("/api/v1/events");
  return { api, recorder, events };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("event recorder", () => {
  // Source: KubeletConfiguration v1beta1, eventRecordQPS (default 50) and eventBurst (default 100); a bucket of tokens as
  // client-go's flowcontrol.NewTokenBucketRateLimiter.
  it("lets what is urgent go first: events wait half a second, and a swarm goes at upstream's rate", async () => {
    vi.useFakeTimers();
    const { recorder, events } = setUp();
    const record = (count: number, of: string) => {
      for (let i = 0; i < count; i++) recorder.event({ ...about, name: `${of}-${i}` }, "Normal", "Pulled", "there");
    };
    record(3, "few");
    await vi.advanceTimersByTimeAsync(499);
    expect(events()).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(events()).toHaveLength(3);
    // Long enough to have the whole burst again.
    await vi.advanceTimersByTimeAsync(10_000);
    record(300, "swarm");
    await vi.advanceTimersByTimeAsync(501);
    expect(events()).toHaveLength(3 + 100);
    await vi.advanceTimersByTimeAsync(2000);
    expect(events()).toHaveLength(3 + 100 + 100);
    expect(events().map(({ involvedObject }) => involvedObject.name)).not.toContain("swarm-200");
    // Who ends does not wait.
    await recorder.flush();
    expect(events()).toHaveLength(3 + 300);
  });

  it("sends all at once where there is no rate", async () => {
    vi.useFakeTimers();
    const api = new FakeApi();
    const deps = { log, rate: { perSecond: 0, burst: 0 } };
    const recorder = createEventRecorder(new Client(api), { component: "kubelet" }, deps);
    for (let i = 0; i < 300; i++) recorder.event({ ...about, name: `web-${i}` }, "Normal", "Pulled", "there");
    await vi.advanceTimersByTimeAsync(501);
    expect(api.all<Event>("/api/v1/events")).toHaveLength(300);
  });

  it("writes core/v1 events in the object's namespace", async () => {
    const { recorder, events } = setUp();
    recorder.event(about, "Normal", "Pulled", "Image is there");
    await recorder.flush();
    expect(events()).toMatchObject([
      {
        metadata: { namespace: "shop", name: expect.stringMatching(/^web\.[0-9a-f]+$/) },
        involvedObject: { kind: "Pod", apiVersion: "v1", name: "web", uid: "u1" },
        reason: "Pulled",
        source: { component: "kubelet", host: "node01" },
        count: 1,
        firstTimestamp: "2026-01-01T00:00:00Z",
      },
    ]);
  });

  it("counts the same event instead of repeating it, and keeps different ones apart", async () => {
    const { recorder, events } = setUp();
    for (let i = 0; i < 3; i++) recorder.event(about, "Warning", "BackOff", "Back-off restarting");
    recorder.event(about, "Warning", "BackOff", "another");
    await recorder.flush();
    expect(
      events().map(({ message, count, firstTimestamp, lastTimestamp }) => [
        message,
        count,
        firstTimestamp,
        lastTimestamp,
      ]),
    ).toEqual([
      ["Back-off restarting", 3, "2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z"],
      ["another", 1, "2026-01-01T00:00:03Z", "2026-01-01T00:00:03Z"],
    ]);
  });

  // Source: client-go tools/record/events_cache.go, EventAggregator: the tenth message is one of many.
  it("combines messages of one reason that go on differing, until a pause", async () => {
    const api = new FakeApi();
    let time = Date.UTC(2026, 0, 1);
    const deps = { log, now: () => new Date(time) };
    const recorder = createEventRecorder(new Client(api), { component: "c" }, deps);
    const fail = (i: number) => recorder.event(about, "Warning", "FailedCreate", `Error creating: pods "web-${i}"`);
    const shown = () => api.all<Event>("/api/v1/events").map(({ message, count }) => [message, count]);
    for (let i = 1; i <= 12; i++) fail(i);
    recorder.event(about, "Normal", "SuccessfulCreate", "Created pod: web-x");
    await recorder.flush();
    expect(shown()).toEqual([
      ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => [`Error creating: pods "web-${i}"`, 1]),
      ['(combined from similar events): Error creating: pods "web-12"', 3],
      ["Created pod: web-x", 1],
    ]);
    time += 601_000;
    fail(13);
    await recorder.flush();
    expect(shown().at(-1)).toEqual(['Error creating: pods "web-13"', 1]);
  });

  it("begins a new event when the counted one has expired", async () => {
    const { api, recorder, events } = setUp();
    recorder.event(about, "Normal", "Pulled", "x");
    await recorder.flush();
    await new Client(api).delete(resources.events, events()[0]?.metadata.name ?? "", "shop");
    recorder.event(about, "Normal", "Pulled", "x");
    await recorder.flush();
    expect(events()).toHaveLength(1);
  });

  it("drops the newest while four thousand are under way, and says so once", async () => {
    const api = new FakeApi();
    const lines: string[] = [];
    const heard = createLogger("test", { write: (line) => void lines.push(line) });
    const recorder = createEventRecorder(new Client(api), { component: "kubelet" }, { log: heard });
    const of = (i: number) => ({ ...about, name: `web${i}` });
    for (let i = 0; i < 4100; i++) recorder.event(of(i), "Normal", "Pulled", `image ${i}`);
    await recorder.flush();
    const kept = api.all<Event>("/api/v1/events").map(({ message }) => message);
    expect(kept).toHaveLength(4000);
    expect(kept).not.toContain("image 4000");
    expect(lines.filter((line) => line.includes("Events are dropped"))).toHaveLength(1);
    recorder.event(about, "Normal", "Pulled", "after");
    await recorder.flush();
    expect(api.all<Event>("/api/v1/events")).toHaveLength(4001);
  });

  it("never fails its caller", async () => {
    const { api, recorder } = setUp();
    api.onRequest = () => {
      throw new Error("away");
    };
    recorder.event(about, "Normal", "Pulled", "x");
    await recorder.flush();
  });
});
