import { describe, expect, it } from "vitest";
import { SchedulingQueue } from "./queue.ts";

function drain(queue: SchedulingQueue): string[] {
  const keys: string[] = [];
  for (let key = queue.take(); key !== undefined; key = queue.take()) keys.push(key);
  return keys;
}

describe("scheduling queue", () => {
  it("gives the highest priority first, and of equals the one that came first", () => {
    const queue = new SchedulingQueue();
    queue.add("low", -5);
    queue.add("first", 0);
    queue.add("critical", 2_000_000_000);
    queue.add("second", 0);
    queue.add("first", 0); // again: keeps its place
    expect(drain(queue)).toEqual(["critical", "first", "second", "low"]);
  });

  it("moves a pod whose priority has changed", () => {
    const queue = new SchedulingQueue();
    queue.add("a", 1);
    queue.add("b", 1);
    queue.add("b", 7);
    expect(drain(queue)).toEqual(["b", "a"]);
  });

  it("leaves a refused pod alone ever longer, and wakes it only by what may help", () => {
    const queue = new SchedulingQueue();
    const attempt = (now: number) => {
      queue.add("a", 0);
      queue.take();
      queue.refuse("a", new Set(["room"]), now);
      return queue.helped(["room"], now)[0]?.afterMs ?? 0;
    };
    const waits = Array.from({ length: 6 }, (_, i) => attempt(i * 1000));
    expect(waits.slice(0, 3)).toEqual([0, 0, 0]);
    expect(waits[3]).toBeGreaterThan(0);
    expect(waits[4]).toBeGreaterThan(waits[3] as number);
    expect(waits[5]).toBeGreaterThan(waits[4] as number);
    expect(queue.helped(["room"], 1e6)).toEqual([{ key: "a", afterMs: 0 }]);
    expect(queue.helped(["storage"], 1e6)).toEqual([]);
    queue.forget("a");
    expect(queue.helped(["room"], 1e6)).toEqual([]);
  });
});
