import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { inForeground, planStreams, shellWords } from "./foreign.ts";

describe("streams of a command on a machine", () => {
  it("all terminals and in the foreground: a terminal of its own", () => {
    expect(planStreams([true, true, true], true)).toEqual({ kind: "terminal" });
  });

  it("never a terminal of ours, whatever is redirected", () => {
    for (const foreground of [true, false]) {
      for (let bits = 0; bits < 8; bits++) {
        const terminals = [0, 1, 2].map((fd) => (bits & (1 << fd)) !== 0);
        const plan = planStreams(terminals, foreground);
        if (plan.kind === "terminal") continue;
        for (const [fd, how] of plan.stdio.entries()) expect(how === "inherit").toBe(!terminals[fd]);
      }
    }
  });

  it("in the background the terminal is not read", () => {
    expect(planStreams([true, true, true], false)).toEqual({ kind: "pipes", stdio: ["ignore", "pipe", "pipe"] });
    expect(planStreams([true, false, true], true)).toEqual({ kind: "pipes", stdio: ["pipe", "inherit", "pipe"] });
  });

  it("tells the foreground by /proc/self/stat, whatever the program's name", () => {
    expect(inForeground("7 (a) b (c)) S 1 70 60 34816 70 4194560")).toBe(true);
    expect(inForeground("7 (node) S 1 70 60 34816 60 4194560")).toBe(false);
    expect(inForeground("7 (node) S 1 70 60 0 -1 4194560")).toBe(false);
  });

  it("words reach a command as they were", () => {
    const words = ["a b", "it's", "$HOME", "`x`", "", "-n", 'say "x"', "new\nline", "\\"];
    const printed = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${shellWords(words)}`], { encoding: "utf8" });
    expect(printed.split("\0").slice(0, -1)).toEqual(words);
  });
});
