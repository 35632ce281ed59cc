import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  scaledQuantity,
  storedQuantity,
} from "./quantity.ts";

const canonical = (text: string): string => formatQuantity(parseQuantity(text));

/** Every text that upstream's grammar allows, within bounds. */
const texts = fc
  .tuple(
    fc.constantFrom("", "-", "+"),
    fc.stringMatching(/^\d{1,22}$/),
    fc.option(fc.stringMatching(/^\d{0,12}$/), { nil: undefined }),
    fc.oneof(
      fc.constantFrom("n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"),
      fc.integer({ min: -20, max: 40 }).map((n) => `e${n}`),
    ),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}${fraction === undefined ? "" : `.${fraction}`}${suffix}`);

/** Nanos of an amount, the slow and plain way. */
const nanos = ({ unscaled, scale }: Quantity): bigint => unscaled * 10n ** BigInt(scale + 9);
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

describe("quantities", () => {
  it.each([
    ["0", "0"],
    ["-0", "0"],
    ["0Mi", "0"],
    ["+", "0"],
    ["100m", "100m"],
    ["0.1", "100m"],
    [".5", "500m"],
    ["1.", "1"],
    ["0.5Gi", "512Mi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Ki", "512"],
    ["1023", "1023"],
    ["1024Ki", "1Mi"],
    ["1000Ki", "1000Ki"],
    ["1024", "1024"],
    ["2048", "2048"],
    ["0.0001Ki", "102400u"],
    ["0.3Ki", "307200m"],
    ["1000", "1k"],
    ["1500", "1500"],
    ["12000000", "12M"],
    ["1e3", "1e3"],
    ["1500e3", "1500e3"],
    ["100e1", "1e3"],
    ["1E", "1E"],
    ["1000E", "1e21"],
    ["1n", "1n"],
    ["0.1n", "1n"],
    ["-0.1n", "-1n"],
    ["1e-30", "1e-9"],
    ["1.23456789012", "1234567891n"],
    ["-1.5", "-1500m"],
    ["9223372036854775807", "9223372036854775807"],
    ["8Ei", "9223372036854775807"],
    ["-100Ei", "-9223372036854775807"],
    ["1e2147483647", "10e2147483646"],
  ])("%s is %s", (text, expected) => expect(canonical(text)).toBe(expected));

  const format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  it.each(["", " 1", "1 ", "1.1.M", "1+1.0M", "0.1am", "aoeu", "1 Mi", "1KiB", "1e3x", "1KI", "0x10"])(
    "%j: the format is wrong",
    (text) => expect(() => parseQuantity(text)).toThrow(format),
  );
  it.each(["1i", "0.1mi", "1K", "-3.01e-", "1e", "--1", "1kk", "1e2147483648", "1m3"])(
    "%j: the suffix is wrong",
    (text) => expect(() => parseQuantity(text)).toThrow(/^unable to parse quantity's suffix$/),
  );

  it.each([
    ["100m", "100m"],
    ["0.1", "100m"],
    ["1.500", "1.500"],
    ["+5", "+5"],
    ["05", "05"],
    ["1E3", "1E3"],
    ["1000", "1k"],
    ["100Ki", "100Ki"],
    ["1024Ki", "1Mi"],
    ["1Gi", "1Gi"],
    ["123456789012345678901", "123456789012345678901"],
  ])("an API server keeps %s as %s", (text, expected) => expect(storedQuantity(text)).toBe(expected));

  it("are worth the same in canonical form, which is its own canonical form", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const first = parseQuantity(text);
        const again = parseQuantity(formatQuantity(first));
        expect(compareQuantities(first, again)).toBe(0);
        expect(formatQuantity(again)).toBe(formatQuantity(first));
        expect(compareQuantities(parseQuantity(storedQuantity(text)), first)).toBe(0);
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  it("compare as numbers do", () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        const [left, right] = [parseQuantity(a), parseQuantity(b)];
        const difference = nanos(left) - nanos(right);
        expect(Math.sign(compareQuantities(left, right))).toBe(difference > 0n ? 1 : difference < 0n ? -1 : 0);
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  it("scale by rounding away from zero, by less than one, within an int64", () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: -9, max: 6 }), (text, scale) => {
        const quantity = parseQuantity(text);
        const scaled = scaledQuantity(quantity, scale);
        const [exact, unit] = [nanos(quantity), 10n ** BigInt(scale + 9)];
        const most = 2n ** 63n - 1n;
        if (magnitude(exact) >= most * unit) {
          expect(magnitude(scaled)).toBe(most);
          return;
        }
        const above = magnitude(scaled) * unit - magnitude(exact);
        expect(above >= 0n && above < unit).toBe(true);
        expect(scaled === 0n || scaled > 0n === exact > 0n).toBe(true);
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  it("of huge exponents cost nothing", () => {
    const [a, b] = [parseQuantity("1e2000000000"), parseQuantity("2e2000000000")];
    expect(compareQuantities(a, b)).toBeLessThan(0);
    expect(scaledQuantity(a, -3)).toBe(2n ** 63n - 1n);
  });
});
