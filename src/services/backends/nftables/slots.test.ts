import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isEmptySlot, keepSlots, slotOf } from "./slots.ts";

const width = 8;
const slot = (n: number) => `${String.fromCharCode(n)}xxx\x1f\x90\0\0`;
const listOf = (numbers: readonly number[]) => numbers.map(slot).join("");
const numbersOf = (list: string) =>
  Array.from({ length: list.length / width }, (_, i) => slotOf(list, i, width).charCodeAt(0));
const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);

describe("V04 numbers of endpoints (part: nftables)", () => {
  it.each([
    ["one that goes, its number is the last one's", [1, 2, 3, 4], [1, 3, 4], [1, 4, 3]],
    ["one in place of another, wherever it sorts", [1, 2, 3, 4], [0, 1, 2, 4], [1, 2, 0, 4]],
    ["one more", [2, 3], [1, 2, 3], [2, 3, 1]],
    ["none before", [], [3, 1], [3, 1]],
    ["none after", [3, 1], [], []],
    ["twice the same", [1, 2], [1, 1, 2], [1, 2, 1]],
  ])("%s", (_, held, wanted, expected) => {
    expect(numbersOf(keepSlots(listOf(held), listOf(wanted), 0, width))).toEqual(expected);
  });

  it("each part keeps its endpoints, and whoever stays in a part keeps its number where that is still there", () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 12 });
    fc.assert(
      fc.property(numbers, numbers, fc.nat({ max: 12 }), (held, wanted, edge) => {
        const first = Math.min(edge, wanted.length);
        const list = numbersOf(keepSlots(listOf(held), listOf(wanted), first, width));
        expect(sorted(list.slice(0, first))).toEqual(sorted(wanted.slice(0, first)));
        expect(sorted(list.slice(first))).toEqual(sorted(wanted.slice(first)));
        for (const [i, number] of held.entries()) {
          const stays = i < first ? wanted.slice(0, first) : wanted.slice(first);
          if (i < wanted.length && stays.includes(number)) expect(list[i]).toBe(number);
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it("a hole is filled, and no endpoint", () => {
    const hole = "\0".repeat(width);
    expect(isEmptySlot(hole)).toBe(true);
    expect(isEmptySlot(slot(1))).toBe(false);
    const list = keepSlots(slot(1) + hole + slot(3), listOf([1, 2, 3]), 0, width);
    expect(numbersOf(list)).toEqual([1, 2, 3]);
  });
});
