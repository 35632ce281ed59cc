import { closeSync, readSync, writeSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makePipe } from "#kernel/process/index.ts";
import { PollWatcher } from "#kernel/process/pollWatcher.ts";
import { Spawner } from "#kernel/process/spawner.ts";

let poll: PollWatcher;
beforeEach(() => {
  poll = new PollWatcher();
});
afterEach(() => poll.stop());

it("tells again while something is to be read, until it is told to stop or the writer has gone", async () => {
  const { read, write } = makePipe();
  const seen: string[] = [];
  poll.watch(read, () => {
    const buffer = Buffer.alloc(1);
    const n = readSync(read, buffer);
    seen.push(n === 0 ? "end" : buffer.toString());
    return n > 0;
  });
  writeSync(write, "ab");
  await expect.poll(() => seen).toEqual(["a", "b"]);
  writeSync(write, "c");
  closeSync(write);
  await expect.poll(() => seen).toEqual(["a", "b", "c", "end"]);
  closeSync(read);
});

it("watches others while one is left out", async () => {
  const [a, b] = [makePipe(), makePipe()];
  const seen: string[] = [];
  poll.watch(a.read, () => seen.push("a") < 0);
  poll.watch(b.read, () => seen.push("b") < 0);
  poll.unwatch(a.read);
  writeSync(a.write, "x");
  writeSync(b.write, "x");
  await expect.poll(() => seen).toEqual(["b"]);
  for (const fd of [a.read, a.write, b.read, b.write]) closeSync(fd);
});

it("waits for a spawner's processes and for pipes at once", async () => {
  const spawner = await Spawner.start({ thread: "inline" });
  const { read, write } = makePipe();
  const seen: string[] = [];
  spawner.poll.watch(read, () => seen.push("pipe") < 0);
  const env = { PATH: "/usr/bin:/bin" };
  const child = await spawner.spawn({ argv: ["sleep", "100"], env, stdio: [null, null, null] });
  writeSync(write, "x");
  await expect.poll(() => seen).toEqual(["pipe"]);
  child.kill();
  expect(await child.exit).toEqual({ code: null, signal: 15 });
  await spawner.stop();
  for (const fd of [read, write]) closeSync(fd);
});
