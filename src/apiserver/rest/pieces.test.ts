import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonPieces } from "./pieces.ts";

describe("JsonPieces", () => {
  const text = (pieces: Iterable<Uint8Array>) => Buffer.concat([...pieces]).toString();

  it("is the text, whatever its length and characters", () => {
    const item = fc.tuple(fc.string({ unit: "grapheme" }), fc.nat({ max: 60_000 })).map(([s, n]) => s + "é".repeat(n));
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), (items) => {
        expect(text(new JsonPieces("{[", items, "]}\n"))).toBe(`{[${items.join(",")}]}\n`);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it("has a head and a tail of any length", () => {
    const long = "ü".repeat(100_000);
    expect(text(new JsonPieces(long, [], long))).toBe(long + long);
  });

  it("uses the memory of what was sent again, and of nothing else", () => {
    const items = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(10_000, "é"));
    const pieces = new JsonPieces("[", items, "]");
    const kept: Uint8Array[] = [];
    const buffers = new Set<unknown>();
    let whole = "";
    for (const [i, piece] of [...pieces].entries()) kept[i] = piece;
    expect(text(kept)).toBe(`[${items.join(",")}]`);
    for (const piece of pieces) {
      whole += Buffer.from(piece).toString("latin1");
      buffers.add(piece.buffer);
      pieces.sent(piece);
    }
    expect(Buffer.from(whole, "latin1").toString()).toBe(`[${items.join(",")}]`);
    expect(buffers.size).toBeLessThanOrEqual(3);
  });

  it("makes its items as they are asked for", () => {
    let made = 0;
    const items = (function* () {
      for (; made < 100; made++) yield "x".repeat(10_000);
    })();
    new JsonPieces("[", items, "]")[Symbol.iterator]().next();
    expect(made).toBeLessThan(10);
  });
});
