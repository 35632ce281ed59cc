import { describe, expect, it } from "vitest";
import { hasCode, PodwireError } from "./errors.ts";
import { createLogger } from "./log.ts";

const now = () => new Date("2026-11-21T03:51:00.123Z");

describe("log", () => {
  it("writes one klog line per entry, whatever the fields hold", () => {
    const lines: string[] = [];
    const log = createLogger("kubelet", { write: (line) => lines.push(line), now });
    log.child("cni").info("Pod got its address", { pod: "default/web", tries: 2, gone: undefined });
    log.error("It broke", { error: new Error("two\nlines"), list: ["a"] });
    log.debug("too fine to be seen");
    expect(lines).toEqual([
      'I1121 03:51:00.123000 kubelet/cni] "Pod got its address" pod="default/web" tries=2\n',
      'E1121 03:51:00.123000 kubelet] "It broke" error="two\\nlines" list=["a"]\n',
    ]);
  });

  it("writes lines of another form as they are, but for control characters", () => {
    const lines: string[] = [];
    const log = createLogger("dns", { write: (line) => lines.push(line) });
    log.line('[INFO] "A IN x."\n\u001b[31m');
    createLogger("dns", { write: (line) => lines.push(line), level: "warn" }).line("unseen");
    expect(lines).toEqual(['[INFO] "A IN x."\\u000a\\u001b[31m\n']);
  });
});

describe("errors", () => {
  it("are recognised by their code", () => {
    const error = new PodwireError("CidrOverlap", "they overlap", { a: 1 }, new Error("why"));
    expect(hasCode(error, "CidrOverlap")).toBe(true);
    expect(hasCode(Object.assign(new Error("x"), { code: "ENOENT" }), "ENOENT")).toBe(true);
    expect(hasCode(undefined, "ENOENT")).toBe(false);
    expect(error.cause).toBeInstanceOf(Error);
  });
});
