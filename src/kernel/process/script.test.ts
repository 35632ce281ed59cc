import { describe, expect, it } from "vitest";
import { syscallNumbers } from "#kernel/ffi/index.ts";
import { decodeReport, encodeScript, MEMORY, MEMORY_SIZE, type Step } from "./script.ts";

const steps: readonly Step[] = [
  { call: "chdir", args: ["/tmp"], optional: true },
  { call: "execve", args: ["/bin/x", ["x", "long argument"], []] },
];
/** What the runner finds at an address of its memory. */
const at = (script: Buffer, address: bigint) => script.subarray(8 + Number(address) - MEMORY);
const text = (bytes: Buffer) => bytes.toString("utf8", 0, bytes.indexOf(0));

describe("a script of system calls", () => {
  const script = encodeScript(steps);

  it("begins with its length", () => {
    expect(Number(script.readBigUInt64LE(0))).toBe(script.length - 8);
  });

  it("holds numbers, arguments and flags, and ends with -1", () => {
    const word = (n: number) => script.readBigInt64LE(8 + n * 8);
    expect([word(0), word(7)]).toEqual([BigInt(syscallNumbers().chdir), 1n]);
    expect([word(8), word(15), word(16)]).toEqual([BigInt(syscallNumbers().execve), 0n, -1n]);
    expect(text(at(script, word(1)))).toBe("/tmp");
    expect(text(at(script, word(9)))).toBe("/bin/x");
  });

  it("holds lists as addresses with a zero behind them", () => {
    const argv = at(script, script.readBigUInt64LE(8 + 10 * 8));
    expect(text(at(script, argv.readBigUInt64LE(0)))).toBe("x");
    expect(text(at(script, argv.readBigUInt64LE(8)))).toBe("long argument");
    expect(argv.readBigUInt64LE(16)).toBe(0n);
    expect(at(script, script.readBigUInt64LE(8 + 11 * 8)).readBigUInt64LE(0)).toBe(0n);
  });

  it("is refused when the runner has no room for it", () => {
    expect(() => encodeScript([{ call: "chdir", args: ["x".repeat(MEMORY_SIZE)] }])).toThrow("too long");
  });

  it("has its steps' failures told by address", () => {
    const report = Buffer.alloc(16);
    report.writeBigUInt64LE(BigInt(MEMORY + 64));
    report.writeBigInt64LE(-13n, 8);
    expect(decodeReport(report, steps)).toEqual({ step: steps[1], errno: 13 });
  });
});
