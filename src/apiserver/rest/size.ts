/**
 * Whether the JSON of a value is longer than a limit, in characters, found without writing it: a lower bound that stops
 * as soon as it is over, so that what cannot be stored costs no validation.
 */
export function isLongerThan(value: unknown, limit: number): boolean {
  return remaining(value, limit) < 0;
}

/** What is left of a budget of characters behind a value. */
function remaining(value: unknown, budget: number): number {
  if (typeof value === "string") return budget - value.length - 2;
  if (typeof value !== "object" || value === null) return budget - 1;
  let left = budget - 1;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && left >= 0; i++) left = remaining(value[i], left - 1);
    return left;
  }
  for (const [key, member] of Object.entries(value)) {
    if (left < 0) break;
    if (member !== undefined) left = remaining(member, left - key.length - 4);
  }
  return left;
}
