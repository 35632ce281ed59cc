import { spawn } from "node:child_process";
import { closeSync, readSync, writeSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { check, libc, syscallNumbers } from "#kernel/ffi/index.ts";
import { ExitWatcher } from "#kernel/process/exitWatcher.ts";
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

it("goes on with the others when one of them fails, and tells its owner", async () => {
  const [a, b] = [makePipe(), makePipe()];
  const seen: unknown[] = [];
  const failure = new Error("no space left on device");
  const fail = () => {
    throw failure;
  };
  poll.watch(a.read, fail, (error) => seen.push(error));
  poll.watch(b.read, () => {
    seen.push(readSync(b.read, Buffer.alloc(1)));
    return true;
  });
  writeSync(a.write, "x");
  await expect.poll(() => seen).toEqual([failure]);
  for (const n of [1, 2]) {
    writeSync(b.write, "x");
    await expect.poll(() => seen.length).toBe(1 + n);
  }
  // Still to be read, and nobody is called again.
  expect(seen).toEqual([failure, 1, 1]);
  for (const fd of [a.read, a.write, b.read, b.write]) closeSync(fd);
});

it("does not call who has taken over a number for what its file before had to say", async () => {
  const [a, b] = [makePipe(), makePipe()];
  let reports = 0;
  let calls = -1;
  const isSwapped = () => calls >= 0;
  poll.watch(a.read, () => {
    // Both are reported from now on, this one first.
    if (reports === 0) return true;
    for (const fd of [a.read, b.read]) readSync(fd, Buffer.alloc(1));
    poll.unwatch(b.read);
    calls = 0;
    poll.watch(b.read, () => ++calls < 0);
    return false;
  });
  poll.watch(b.read, () => ++reports > 0);
  for (const fd of [a.write, b.write]) writeSync(fd, "x");
  await expect.poll(isSwapped).toBe(true);
  expect(calls).toBe(0);
  writeSync(b.write, "y");
  await expect.poll(() => calls).toBe(1);
  for (const fd of [a.read, a.write, b.read, b.write]) closeSync(fd);
});

it("a process that is reported by mistake runs on", async () => {
  const child = spawn("sleep", ["100"]);
  const open = (pid: number) => check(libc.syscall3(syscallNumbers().pidfdOpen, pid, 0, 0), "pidfd_open");
  const [own, foreign] = [open(child.pid ?? 0), open(process.ppid)];
  const reports: (() => boolean)[] = [];
  const watcher = new ExitWatcher({ watch: (_fd, onReadable) => reports.push(onReadable), unwatch: () => {} });
  const ends: unknown[] = [];
  for (const fd of [own, foreign]) void watcher.watch(fd).then((status) => ends.push(status));
  expect(reports.map((report) => report())).toEqual([true, true]);
  // Not collected by Node before, which is the parent too: this thread does not return to its event loop meanwhile.
  child.kill("SIGKILL");
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 30_000 && reports[0]?.(); i++) Atomics.wait(pause, 0, 0, 1);
  await Promise.resolve();
  expect(ends).toEqual([{ code: null, signal: 9 }]);
  watcher.stop();
});
