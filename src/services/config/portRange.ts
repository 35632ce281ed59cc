/** Ports from the first to the last, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * A range in the forms of k8s.io/apimachinery's ParsePortRange: `8000-8100`, `8000+100`, one port, or nothing and `0`
 * and `0-0` for any port.
 * @returns undefined for any port
 * @throws RangeError for what is no range
 */
export function parsePortRange(text: string): PortRange | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const [, from, sign, to] = /^(\d{1,5})(?:([-+])(\d{1,5}))?$/.exec(trimmed) ?? [];
  if (from === undefined) throw new RangeError("unable to parse port range");
  const first = Number(from);
  const last = to === undefined ? first : sign === "+" ? first + Number(to) : Number(to);
  if (first > 65_535 || last > 65_535)
    throw new RangeError(`the port range cannot be greater than 65535: ${first}-${last}`);
  if (last < first) throw new RangeError(`end port cannot be less than start port: ${first}-${last}`);
  return first === 0 && last === 0 ? undefined : { first, last };
}
