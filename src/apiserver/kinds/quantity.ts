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

/** The value of a quantity such as `100m`, `1.5Gi`, `2e3`; NaN for other texts. Exact enough to compare sizes. */
export function quantityValue(text: string | undefined): number {
  const match = /^([+-]?[0-9.]+)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE])?)$/.exec(text ?? "");
  if (!match) return Number.NaN;
  if (match[2]) return Number(`${match[1]}${match[2]}`);
  return Number(match[1]) * (suffixes[match[3] ?? ""] ?? Number.NaN);
}
