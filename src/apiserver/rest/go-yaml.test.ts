import { afterEach, describe, expect, it } from "vitest";
import { YamlReader } from "./go-yaml.ts";

const readers: YamlReader[] = [];
afterEach(async () => {
  for (const reader of readers.splice(0)) await reader.stop();
});

function reader(limits?: { ms: number; megabytes: number }): YamlReader {
  const made = new YamlReader(limits);
  readers.push(made);
  return made;
}

const read = (text: string, by = reader()) => by.read(Buffer.from(text));

/** Nested so deep on one line that reading it takes minutes: the time grows with the third power. */
const nested = `${"? ".repeat(1500)}a`;

describe("YAML bodies", () => {
  it("are values as JSON has them, and say which keys come twice", async () => {
    expect(await read("a: 1\nb: [x, 2.5, true, null, ~]\n1: y\n")).toEqual({
      value: { 1: "y", a: 1, b: ["x", 2.5, true, null, null] },
      faults: [],
    });
    expect(await read('{"a": 1}')).toEqual({ value: { a: 1 }, faults: [] });
    expect(await read("a: 1\na: 2\n")).toEqual({
      value: { a: 2 },
      faults: ['yaml: unmarshal errors:\n  line 2: key "a" already set in map'],
    });
    expect(await read("")).toEqual({ value: null, faults: [] });
    expect(await read("x: &one [1]\ny: *one\n")).toEqual({ value: { x: [1], y: [1] }, faults: [] });
    // encoding/json's words: JSON has no such number.
    await expect(read("a: .inf\n")).rejects.toThrow("json: unsupported value: +Inf");
    await expect(read("a: [\n")).rejects.toThrow(/^yaml: line \d+: /);
  });

  it("are refused when their aliases repeat too much (go-yaml's words)", async () => {
    const lines = ["a0: &a0 x"];
    for (let i = 1; i < 10; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
      );
    await expect(read(lines.join("\n"))).rejects.toThrow(/^yaml: /);
    const long = `a: &a ${"x".repeat(100_000)}\nb: [${Array(50).fill("*a").join(", ")}]\n`;
    await expect(read(long)).rejects.toThrow("yaml: document contains excessive aliasing");
  });

  it("are refused when they take too long, and the next one is read", async () => {
    const by = reader({ ms: 4000, megabytes: 256 });
    const [slow, next] = [read(nested, by), read("a: 1", by)];
    await expect(slow).rejects.toThrow("yaml: document takes too long to read");
    expect((await next).value).toEqual({ a: 1 });
  });

  it("are refused when they take too much memory, and the next one is read", async () => {
    const by = reader({ ms: 20_000, megabytes: 24 });
    await expect(read(`[${"a, ".repeat(500_000)}]`, by)).rejects.toThrow(
      "yaml: document takes too much memory to read",
    );
    expect((await read("a: 1", by)).value).toEqual({ a: 1 });
  });

  it("that are being read when the server stops are refused", async () => {
    const by = reader();
    const slow = read(nested, by);
    await read('{"a": 1}', by);
    // Sooner or later than the thread begins with it.
    setImmediate(() => void by.stop());
    await expect(slow).rejects.toThrow("yaml: the server is stopping");
    await expect(read("a: 1", by)).rejects.toThrow("yaml: the server is stopping");
  });
});
