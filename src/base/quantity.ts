import { PodwireError } from "./errors.ts";

/** The family of suffixes in which an amount was written and is printed. */
export type QuantityFormat = "DecimalSI" | "DecimalExponent" | "BinarySI";

/**
 * An amount such as `100m`, `1.5Gi` or `2e3`: exactly `unscaled` × 10^`scale`, to the nano.
 * Behaves as resource.Quantity of k8s.io/apimachinery does.
 */
export interface Quantity {
  readonly unscaled: bigint;
  /** At least -9. */
  readonly scale: number;
  readonly format: QuantityFormat;
}

const NANO = -9;
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_EXPONENT = 2 ** 31 - 1;
/** Decimal digits that surely fit into an int64. */
const INT64_DIGITS = 18;
const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";

interface Parts {
  readonly negative: boolean;
  /** Digits before the point without leading zeros, at least one. */
  readonly whole: string;
  /** Digits behind the point. */
  readonly fraction: string;
  readonly base: 2 | 10;
  readonly exponent: number;
  readonly format: QuantityFormat;
}

function invalid(message: string): PodwireError {
  return new PodwireError("InvalidQuantity", message);
}

function split(text: string): Parts {
  const match = /^([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/.exec(text);
  if (!match || text === "") throw invalid(WRONG_FORMAT);
  const [, sign, whole = "", fraction = "", suffix = ""] = match;
  return { negative: sign === "-", whole: whole || "0", fraction, ...interpret(suffix) };
}

function interpret(suffix: string): Pick<Parts, "base" | "exponent" | "format"> {
  const decimal = DECIMAL.indexOf(suffix);
  if (decimal >= 0) return { base: 10, exponent: 3 * decimal + NANO, format: "DecimalSI" };
  const binary = BINARY.indexOf(suffix);
  if (binary >= 0) return { base: 2, exponent: 10 * binary, format: "BinarySI" };
  const exponent = /^[eE]([+-]?\d+)$/.exec(suffix)?.[1];
  if (exponent === undefined || Math.abs(Number(exponent)) > MAX_EXPONENT) throw invalid(WRONG_SUFFIX);
  return { base: 10, exponent: Number(exponent), format: "DecimalExponent" };
}

/**
 * Reads an amount. What is finer than a nano is rounded away from zero, what is above 2^63-1 and has a binary suffix
 * becomes that.
 * @throws PodwireError `InvalidQuantity` in upstream's words
 */
export function parseQuantity(text: string): Quantity {
  return quantityOf(split(text));
}

function quantityOf({ negative, whole, fraction, base, exponent, format }: Parts): Quantity {
  const digits = BigInt(whole + fraction);
  if (digits === 0n) return { unscaled: 0n, scale: 0, format };
  const scale = (base === 10 ? exponent : 0) - fraction.length;
  const exact = { unscaled: base === 2 ? digits << BigInt(exponent) : digits, scale, format };
  const rounded = { unscaled: roundUp(exact, NANO), scale: Math.max(scale, NANO), format };
  const amount = format === "BinarySI" ? bounded(rounded) : rounded;
  return negative ? { ...amount, unscaled: -amount.unscaled } : amount;
}

/** A binary amount has an upper bound; below 1 it is printed in decimal. */
function bounded(amount: Quantity): Quantity {
  if (compareQuantities(amount, { ...amount, unscaled: MAX_INT64, scale: 0 }) > 0)
    return { ...amount, unscaled: MAX_INT64, scale: 0 };
  const small = compareQuantities(amount, { ...amount, unscaled: 1n, scale: 0 }) < 0;
  return small ? { ...amount, format: "DecimalSI" } : amount;
}

/** In units of 10^`scale`, rounded away from zero; as it is when it is coarser than that. */
function roundUp({ unscaled, scale }: Pick<Quantity, "unscaled" | "scale">, to: number): bigint {
  const drop = to - scale;
  if (drop <= 0 || unscaled === 0n) return unscaled;
  const one = unscaled < 0n ? -1n : 1n;
  // All its digits are behind the new last place.
  if (drop > digitsOf(unscaled)) return one;
  const unit = 10n ** BigInt(drop);
  return unscaled % unit === 0n ? unscaled / unit : unscaled / unit + one;
}

function digitsOf(value: bigint): number {
  return String(value < 0n ? -value : value).length;
}

/** Below 0 when `a` is the smaller one, above 0 when it is the greater one. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  const [signA, signB] = [a, b].map(({ unscaled }) => (unscaled > 0n ? 1 : unscaled < 0n ? -1 : 0)) as [number, number];
  if (signA !== signB || signA === 0) return signA - signB;
  // By the place of the first digit, so that huge exponents need no huge numbers.
  const places = digitsOf(a.unscaled) + a.scale - (digitsOf(b.unscaled) + b.scale);
  if (places !== 0) return places * signA;
  const scale = Math.min(a.scale, b.scale);
  const [left, right] = [a, b].map((q) => q.unscaled * 10n ** BigInt(q.scale - scale)) as [bigint, bigint];
  return left === right ? 0 : left < right ? -1 : 1;
}

/** The sum, in the format of the first one that is not zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  if (a.unscaled === 0n) return b;
  const scale = Math.min(a.scale, b.scale);
  const [left, right] = [a, b].map((q) => q.unscaled * 10n ** BigInt(q.scale - scale)) as [bigint, bigint];
  return { unscaled: left + right, scale, format: a.format };
}

/** How many times 10^`scale` it is, rounded away from zero, within the bounds of an int64. */
export function scaledQuantity(quantity: Quantity, scale: number): bigint {
  const { unscaled } = quantity;
  const limit = { ...quantity, unscaled: unscaled < 0n ? -MAX_INT64 : MAX_INT64, scale };
  if (compareQuantities(quantity, limit) * (unscaled < 0n ? -1 : 1) >= 0) return limit.unscaled;
  return quantity.scale < scale ? roundUp(quantity, scale) : unscaled * 10n ** BigInt(quantity.scale - scale);
}

/** The canonical text: the largest suffix that leaves no fraction. */
export function formatQuantity(quantity: Quantity): string {
  const { unscaled, format } = quantity;
  if (unscaled === 0n) return "0";
  return (format === "BinarySI" && binaryText(quantity)) || decimalText(quantity);
}

/** Undefined below 1 Ki and for what is no whole number: upstream prints those in decimal. */
function binaryText({ unscaled, scale }: Quantity): string | undefined {
  const unit = 10n ** BigInt(Math.abs(scale));
  if (scale < 0 && unscaled % unit !== 0n) return undefined;
  let value = scale < 0 ? unscaled / unit : unscaled * unit;
  if (value > -1024n && value < 1024n) return undefined;
  let place = 0;
  for (; value % 1024n === 0n; place++) value /= 1024n;
  return `${value}${BINARY[place]}`;
}

function decimalText({ unscaled, scale, format }: Quantity): string {
  const zeros = /0*$/.exec(String(unscaled))?.[0].length ?? 0;
  const exponent = scale + zeros;
  const down = ((exponent % 3) + 3) % 3;
  const number = `${String(unscaled).slice(0, String(unscaled).length - zeros)}${"0".repeat(down)}`;
  const place = exponent - down;
  const suffix = format !== "DecimalExponent" ? DECIMAL[(place - NANO) / 3] : place === 0 ? "" : undefined;
  return `${number}${suffix ?? `e${place}`}`;
}

/**
 * The text that an API server keeps of one that a client sent: the canonical one, unless upstream takes the text for
 * canonical, which it does by a look at the digits alone (`1.500` and `+5` stay).
 * @throws PodwireError `InvalidQuantity` in upstream's words
 */
export function storedQuantity(text: string): string {
  const parts = split(text);
  return text === "0" || looksCanonical(parts) ? text : formatQuantity(quantityOf(parts));
}

function looksCanonical({ whole, fraction, base, exponent }: Parts): boolean {
  const digits = whole + fraction;
  if (base === 2) {
    const room = 15 - whole.length - Math.trunc((exponent * 3) / 10) - 1;
    return fraction === "" && room >= 0 && (BigInt(whole) & 7n) !== 0n;
  }
  const scale = exponent - fraction.length;
  return (
    digits.length <= INT64_DIGITS &&
    scale >= NANO &&
    scale % 3 === 0 &&
    !digits.endsWith("000") &&
    !digits.startsWith("0")
  );
}
