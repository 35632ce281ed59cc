/** Factors of Kubernetes' quantity suffixes (apimachinery, "Quantity"). */
const FACTORS: Readonly<Record<string, number>> = {
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
 * Value of a resource quantity such as "100m", "64Mi" or "1e3" in the base unit (cores, bytes).
 * @returns NaN for text that is no quantity
 */
export function quantityValue(text: string): number {
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?$/.exec(text);
  if (!match) return Number.NaN;
  return Number(match[1]) * (FACTORS[match[2] ?? ""] ?? Number.NaN);
}
