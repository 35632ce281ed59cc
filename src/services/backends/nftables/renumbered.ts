import type { Pending } from "#base/delta.ts";
import type { Element } from "#kernel/nft/index.ts";
import type { SetName } from "./layout.ts";

/** An entry of @services that changes with elements of the same address. */
interface Renumbered {
  readonly entry: Element;
  readonly elements: [SetName, Element][];
}

/** More elements of one address than this do not stay together: a send has its limit. */
const MOST_TOGETHER = 1000;

/**
 * Addresses whose endpoints change places while their entry changes to another chain: between one and the other the
 * former chain would find the new list, such as an endpoint elsewhere among "the first so many are local". They change
 * together. By the key of their entry, with which the keys of endpoints begin.
 * @param length of an entry's key
 */
export function renumbered(
  pending: ReadonlyMap<SetName, Pending<string, Element>>,
  length: number,
): Map<string, Renumbered> {
  const found = new Map<string, Renumbered>();
  for (const [key, entry] of pending.get("services")?.change ?? []) found.set(key, { entry, elements: [] });
  if (found.size === 0) return found;
  for (const name of ["endpoints", "affinity-ids", "affinity-endpoints"] as const) {
    for (const [key, element] of pending.get(name)?.change ?? [])
      found.get(key.slice(0, length))?.elements.push([name, element]);
  }
  for (const [key, { elements }] of found)
    if (elements.length === 0 || elements.length > MOST_TOGETHER) found.delete(key);
  return found;
}
