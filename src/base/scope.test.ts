import { describe, expect, it } from "vitest";
import { createLogger } from "./log.ts";
import { Scope } from "./scope.ts";

const log = createLogger("test", { write: () => {} });
const untilAbort = (signal: AbortSignal) =>
  new Promise<void>((done) => signal.addEventListener("abort", () => setTimeout(done, 2)));

describe("scope", () => {
  it("waits at its end for all tasks, then cleans up in reverse order", async () => {
    const scope = new Scope("test", log);
    const done: string[] = [];
    scope.run("task", async (signal) => {
      await untilAbort(signal);
      done.push("task");
    });
    scope.onStop(() => void done.push("first"));
    scope.onStop(() => void done.push("second"));
    expect(scope.health()).toEqual({ ok: true, tasks: ["task"] });
    await scope.stop();
    await scope.stop();
    expect(done).toEqual(["task", "second", "first"]);
  });

  it("reports the failure of a task, ends with its parent and starts nothing afterwards", async () => {
    const parent = new AbortController();
    const scope = new Scope("test", log, parent.signal);
    scope.run("bad", async () => {
      throw new Error("broken");
    });
    await new Promise((done) => setTimeout(done, 1));
    expect(scope.health()).toEqual({ ok: false, tasks: [], error: "broken" });
    parent.abort();
    expect(scope.signal.aborted).toBe(true);
    let ran = false;
    scope.run("late", async () => {
      ran = true;
    });
    expect(ran).toBe(false);
    await scope.stop();
  });
});
