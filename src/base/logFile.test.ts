import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFileLogger, createStderrLogger, openLastWords } from "./logFile.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-logfile-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const numbers = (file: string) =>
  [...readFileSync(join(folder, file), "utf8").matchAll(/ n=(\d+)\n/g)].map(([, n]) => Number(n));

/** What both kinds of log hold after 40 lines: the last ones without a gap, in two files. */
function expectTail(): void {
  expect(readdirSync(folder).sort()).toEqual(["a.log", "a.log.1"]);
  const kept = [...numbers("a.log.1"), ...numbers("a.log")];
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => 40 - kept.length + i));
  expect(kept.length).toBeGreaterThan(10);
  expect(kept.length).toBeLessThan(40);
  expect(readFileSync(join(folder, "a.log.1")).length).toBeLessThan(600);
}

describe("logs of programs", () => {
  it("are put aside when they are full, one older generation is kept", () => {
    const log = createFileLogger("a", join(folder, "a.log"), 500);
    for (let n = 0; n < 40; n++) log.info("line", { n });
    expectTail();
    // A new process goes on with the same bound.
    const again = createFileLogger("a", join(folder, "a.log"), 1);
    again.info("line", { n: 99 });
    expect(numbers("a.log")).toEqual([99]);
  });

  it("are bounded on a descriptor that another process has opened", () => {
    const file = openSync(join(folder, "a.log"), "a");
    const log = createStderrLogger("a", join(folder, "a.log"), 500, file);
    for (let n = 0; n < 40; n++) log.info("line", { n });
    expectTail();
    closeSync(file);
  });

  it("of last words are put aside when a process begins", () => {
    for (const words of ["first", "second", "third", "fourth"]) {
      const file = openLastWords(join(folder, "a.log"), 10);
      writeSync(file, words);
      closeSync(file);
    }
    expect(readdirSync(folder).sort()).toEqual(["a.log", "a.log.1"]);
    expect(readFileSync(join(folder, "a.log.1"), "utf8")).toBe("firstsecond");
    expect(readFileSync(join(folder, "a.log"), "utf8")).toBe("thirdfourth");
  });

  it("leave a file alone that has another name", () => {
    const file = openSync(join(folder, "b.log"), "a");
    const log = createStderrLogger("a", join(folder, "a.log"), 500, file);
    for (let n = 0; n < 40; n++) log.info("line", { n });
    expect(numbers("b.log")).toHaveLength(40);
    closeSync(file);
  });
});
