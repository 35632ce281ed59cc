import { isSubdomain } from "#wire/dns/index.ts";
import { type Directive, zonesOf } from "../corefile/index.ts";

/** For which names an answer of "no such name" goes on to the next plugin instead. */
export interface Fallthrough {
  readonly zones: readonly string[];
}

/** No fallthrough at all. */
export const noFallthrough: Fallthrough = { zones: [] };

/** `fallthrough [ZONES...]`; without zones, for all names. */
export function readFallthrough(property: Directive): Fallthrough {
  if (property.args.length === 0) return { zones: ["."] };
  return { zones: property.args.flatMap((token) => zonesOf(token.text, token)) };
}

/** Whether a name (lower case) falls through. */
export function fallsThrough(fallthrough: Fallthrough, name: string): boolean {
  return fallthrough.zones.some((zone) => isSubdomain(name, zone));
}

/** The longest of the zones that holds the name; undefined when none does. All in lower case. */
export function longestZone(zones: readonly string[], name: string): string | undefined {
  let best: string | undefined;
  for (const zone of zones) {
    if (isSubdomain(name, zone) && (best === undefined || zone.length > best.length)) best = zone;
  }
  return best;
}
