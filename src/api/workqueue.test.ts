import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { WorkQueue, type WorkQueueOptions } from "./workqueue.ts";

const log = createLogger("test", { write: () => {} });

function queueOf(handle: WorkQueueOptions["handle"], more: Partial<WorkQueueOptions> = {}) {
  const stop = new AbortController();
  const backoff = { initialMs: 1, maxMs: 4 };
  const queue = new WorkQueue({ name: "test", handle, backoff, ...more }, { log, signal: stop.signal });
  return { queue, stop };
}

describe("work queue", () => {
  it("works once on a key added many times before its turn", async () => {
    const worked: string[] = [];
    const { queue } = queueOf(async (key) => void worked.push(key));
    for (const key of ["a", "b", "a", "a"]) queue.add(key);
    queue.start();
    await queue.idle();
    expect(worked).toEqual(["a", "b"]);
  });

  it("works again on a key added during its work, never twice at a time", async () => {
    let running = 0;
    let most = 0;
    let runs = 0;
    const { queue } = queueOf(
      async () => {
        most = Math.max(most, ++running);
        if (++runs === 1) for (let i = 0; i < 5; i++) queue.add("a");
        await new Promise((done) => setTimeout(done, 2));
        running--;
      },
      { concurrency: 4 },
    );
    queue.start();
    queue.add("a");
    await queue.idle();
    expect({ most, runs }).toEqual({ most: 1, runs: 2 });
  });

  it("bounds the number of keys worked on at a time", async () => {
    let running = 0;
    let most = 0;
    const { queue } = queueOf(
      async () => {
        most = Math.max(most, ++running);
        await new Promise((done) => setTimeout(done, 1));
        running--;
      },
      { concurrency: 3 },
    );
    queue.start();
    for (let i = 0; i < 20; i++) queue.add(`key${i}`);
    await queue.idle();
    expect(most).toBe(3);
  });

  it("retries a failed key after its back-off until it works", async () => {
    let attempts = 0;
    const { queue } = queueOf(async () => {
      if (++attempts < 5) throw new Error("not yet");
    });
    queue.start();
    queue.add("a");
    await queue.idle();
    expect(attempts).toBe(5);
    expect(queue.stats()).toEqual({ waiting: 0, working: 0, failing: 0 });
  });

  it("comes again after the time that the work returned, the earliest counting", async () => {
    const times: number[] = [];
    const { queue, stop } = queueOf(async () => {
      times.push(performance.now());
      return times.length === 1 ? 10 : undefined;
    });
    queue.start();
    queue.add("a");
    await expect.poll(() => times.length, { interval: 1 }).toBe(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(8);
    stop.abort();
  });

  it("does nothing after its end", async () => {
    let runs = 0;
    const { queue, stop } = queueOf(async () => void runs++);
    queue.start();
    queue.addAfter("late", 1);
    stop.abort();
    queue.add("a");
    await queue.ended();
    await new Promise((done) => setTimeout(done, 5));
    expect(runs).toBe(0);
  });
});
