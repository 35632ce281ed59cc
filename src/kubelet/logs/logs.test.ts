import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ContainerLog,
  decodeEntry,
  encodeEntries,
  type LogOptions,
  logTime,
  olderLogs,
  readLog,
  recoverLog,
  removeLog,
} from "./index.ts";
import { writeLedger } from "./ledger.ts";

const TIME = "2026-11-21T04:00:00.000000001Z";
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-logs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function text(
  path: string,
  options: LogOptions = {},
  live?: ContainerLog,
  signal = new AbortController().signal,
): Promise<string> {
  let all = "";
  for await (const chunk of readLog(path, options, signal, live)) all += chunk.toString();
  return all;
}

describe("L08 container logs in the CRI format (part: reading and writing)", () => {
  it("has one entry a line, marks what goes on", () => {
    expect(encodeEntries("stdout", Buffer.from("a\nb"), TIME).toString()).toBe(
      `${TIME} stdout F a\n${TIME} stdout P b\n`,
    );
    expect(decodeEntry(Buffer.from(`${TIME} stderr P x y`))).toEqual({
      time: TIME,
      stream: "stderr",
      partial: true,
      text: Buffer.from("x y"),
    });
    expect(decodeEntry(Buffer.from("nonsense"))).toBeUndefined();
    expect(logTime(Date.parse("2026-11-21T04:00:00.123Z") + 0.25)).toBe("2026-11-21T04:00:00.123250000Z");
  });

  it("gives back what was written, however it was cut", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.stringMatching(/^[a-z\n]{1,20}$/), { maxLength: 20 }), async (pieces) => {
        const log = new ContainerLog(join(folder, `${run++}.log`));
        for (const piece of pieces) log.write("stdout", Buffer.from(piece));
        log.end();
        expect(await text(log.path)).toBe(pieces.join(""));
      }),
      { seed: 7, numRuns: 50 },
    );
  });

  it("reads tails, times, streams and limits", async () => {
    let ms = Date.parse("2026-11-21T04:00:00Z");
    const log = new ContainerLog(join(folder, "0.log"), { now: () => ms });
    for (let i = 1; i <= 5; i++) {
      log.write(i % 2 ? "stdout" : "stderr", Buffer.from(`line ${i}\n`));
      ms += 1000;
    }
    log.end();
    expect(await text(log.path, { tailLines: 2 })).toBe("line 4\nline 5\n");
    expect(await text(log.path, { tailLines: 0 })).toBe("");
    expect(await text(log.path, { tailLines: 99 })).toMatch(/^line 1\n/);
    expect(await text(log.path, { sinceMs: Date.parse("2026-11-21T04:00:03Z") })).toBe("line 4\nline 5\n");
    expect(await text(log.path, { stream: "stderr" })).toBe("line 2\nline 4\n");
    expect(await text(log.path, { limitBytes: 10 })).toBe("line 1\nlin");
    expect(await text(log.path, { tailLines: 1, timestamps: true })).toBe("2026-11-21T04:00:04.000000000Z line 5\n");
    await expect(text(join(folder, "none.log"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("finds the tail of a file larger than a chunk", async () => {
    const log = new ContainerLog(join(folder, "0.log"));
    for (let i = 0; i < 5000; i++) log.write("stdout", Buffer.from(`${i} ${"x".repeat(40)}\n`));
    log.end();
    const tail = await text(log.path, { tailLines: 3000 });
    expect(tail.split("\n")[0]).toMatch(/^2000 /);
    expect(tail.split("\n")).toHaveLength(3001);
  });

  it("gives a tail as it was when asked, though the log grows", async () => {
    const log = new ContainerLog(join(folder, "0.log"));
    for (let i = 0; i < 5000; i++) log.write("stdout", Buffer.from(`${i} ${"x".repeat(40)}\n`));
    let tail = "";
    for await (const chunk of readLog(log.path, { tailLines: 3000 }, new AbortController().signal)) {
      log.write("stdout", Buffer.from("later\n"));
      tail += chunk;
    }
    log.end();
    expect(tail.split("\n")).toHaveLength(3001);
    expect(tail).not.toContain("later");
  });

  it("follows until the log ends", async () => {
    const log = new ContainerLog(join(folder, "0.log"));
    log.write("stdout", Buffer.from("before\n"));
    const read = text(log.path, { follow: true }, log);
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      log.write("stdout", Buffer.from(`${i}\n`));
    }
    log.end();
    expect(await read).toBe(`before\n${Array.from({ length: 20 }, (_, i) => `${i}\n`).join("")}`);
    expect(readFileSync(log.path, "utf8").split("\n")).toHaveLength(22);
  });

  it("stops following when the reader goes", async () => {
    const log = new ContainerLog(join(folder, "0.log"));
    log.write("stdout", Buffer.from("x\n"));
    const gone = new AbortController();
    let all = "";
    for await (const chunk of readLog(log.path, { follow: true }, gone.signal, log)) {
      all += chunk.toString();
      setTimeout(() => gone.abort(), 5);
    }
    expect(all).toBe("x\n");
    log.end();
  });
});

describe("L08 container logs in the CRI format (part: full files are put aside)", () => {
  const limits = { maxBytes: 400, maxFiles: 3 };
  const at = () => Date.parse("2026-11-21T04:00:00Z");
  const line = (i: number) => `line ${String(i).padStart(4, "0")}\n`;
  const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i)).join("");
  const texts = async (path: string) =>
    (await Promise.all([...olderLogs(path), path].map((file) => text(file)))).join("");

  it("keeps upstream's names, the newest files and whole lines", async () => {
    const log = new ContainerLog(join(folder, "0.log"), { now: at, limits });
    for (let i = 0; i < 100; i++) log.write("stdout", Buffer.from(line(i)));
    log.end();
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(3);
    expect(names[0]).toBe("0.log");
    // Rotations of one second are told apart and stay in order.
    for (const name of names.slice(1)) expect(name).toMatch(/^0\.log\.20261121-0400\d\d$/);
    const kept = await texts(log.path);
    expect(kept).toBe(lines(100 - kept.length / line(0).length, 100));
    expect(kept.length).toBeGreaterThan(2 * 80);
    for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThan(500);
    removeLog(log.path);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("does not cut a line unless the output has no lines", async () => {
    const log = new ContainerLog(join(folder, "0.log"), { now: at, limits: { maxBytes: 150, maxFiles: 50 } });
    for (let i = 0; i < 30; i++) {
      log.write("stdout", Buffer.from("half "));
      log.write("stderr", Buffer.from("other\n"));
      log.write("stdout", Buffer.from("whole\n"));
    }
    for (const file of olderLogs(log.path)) expect(await text(file, { stream: "stdout" })).toMatch(/^(half whole\n)+$/);
    for (let i = 0; i < 50; i++) log.write("stdout", Buffer.from("x".repeat(20)));
    log.end();
    expect((await texts(log.path)).replaceAll(/[^x]/g, "")).toHaveLength(1000);
    for (const file of olderLogs(log.path)) expect(statSync(file).size).toBeLessThan(450);
  });

  it("is followed over many files, by readers of any speed", async () => {
    const log = new ContainerLog(join(folder, "0.log"), { now: at, limits: { maxBytes: 400, maxFiles: 100 } });
    log.write("stdout", Buffer.from(line(0)));
    const reader = readLog(log.path, { follow: true }, new AbortController().signal, log);
    // It has opened the first file before that is put aside.
    let all = String((await reader.next()).value);
    const read = (async () => {
      for await (const chunk of reader) all += chunk.toString();
      return all;
    })();
    for (let i = 1; i < 300; i++) {
      log.write("stdout", Buffer.from(line(i)));
      // Sometimes several files are put aside before the reader looks again.
      if (i % 29 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    log.end();
    expect(await read).toBe(lines(0, 300));
    expect(olderLogs(log.path).length).toBeGreaterThan(20);
  });

  it("tells its next writer what all its files have held", () => {
    const path = join(folder, "0.log");
    const ledger = join(folder, "io/logged.json");
    const log = new ContainerLog(path, { now: at, limits, ledger });
    let bytes = 0;
    for (let i = 0; i < 100; i++) {
      log.write("stdout", Buffer.from(line(i)));
      log.write("stderr", Buffer.from("e\n"));
      bytes += line(i).length;
      expect(recoverLog(path, ledger)).toEqual({ stdout: bytes, stderr: 2 * (i + 1) });
    }
    log.end();
    // Killed after the note, before the file was put aside; and after that, before the new one was made.
    const written = { stdout: bytes, stderr: 200 };
    writeLedger(ledger, { inode: statSync(path).ino, bytes: written });
    expect(recoverLog(path, ledger)).toEqual(written);
    renameSync(path, `${path}.20261121-050000`);
    expect(recoverLog(path, ledger)).toEqual(written);
    // The next writer goes on counting.
    const next = new ContainerLog(path, { now: at, limits, ledger, written });
    for (let i = 0; i < 20; i++) next.write("stdout", Buffer.from(line(i)));
    next.end();
    expect(recoverLog(path, ledger)).toEqual({ stdout: bytes + 20 * line(0).length, stderr: 200 });
  });
});
