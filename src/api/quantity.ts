import { PodwireError } from "#base/errors.ts";

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * A resource quantity in thousandths of its unit, rounded up: `250m` → 250, `2` → 2000, `64Mi` → 67108864000.
 * Throws PodwireError `InvalidQuantity`. Grammar: k8s.io/apimachinery resource.Quantity.
 */
export function parseQuantity(text: string | number): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(String(text));
  if (!match) throw new PodwireError("InvalidQuantity", `"${text}" is not a quantity such as 100m, 1.5 or 64Mi`);
  const [, number = "0", exponent, suffix = ""] = match;
  const factor = exponent === undefined ? (suffixes[suffix] ?? 1) : 10 ** Number(exponent);
  // The tiny subtraction keeps 0.1 × 1000 from becoming 101.
  return Math.ceil(Number(number) * factor * 1000 - 1e-6);
}
