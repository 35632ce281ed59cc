import { type Element, keyText, type TableState } from "#kernel/nft/index.ts";
import type { ServiceAddress } from "../../model/index.ts";
import type { Content, MapName } from "./content.ts";

/** The sizes of a family's keys and values, in bytes. */
export interface Sizes {
  /** A key of @services: address, protocol, port. Keys of endpoints begin with it. */
  readonly entry: number;
  /** An endpoint as map data. */
  readonly slot: number;
}

/** What a table holds under addresses. */
export interface TableContents {
  /** By key of @services as text. */
  readonly contents: Map<string, Content>;
  /** Elements whose numbers are beyond what any list has. */
  readonly strays: readonly (readonly [MapName, Element])[];
}

/** What a table holds, by address. Holes in lists become slots of zeros. */
export function readContents({ elements }: TableState, sizes: Sizes): TableContents {
  const contents = new Map<string, Content>();
  const set = (key: string, part: Partial<Content>) => contents.set(key, { list: "", ...contents.get(key), ...part });
  for (const { key, data, comment } of elements.get("services") ?? []) {
    if (data && !(data instanceof Uint8Array))
      set(keyText(key), { verdict: data, ...(comment !== undefined && { label: comment }) });
  }
  const lists = slotsByAddress(elements.get("endpoints"), sizes.entry);
  for (const [key, slots] of lists.found) set(key, { list: withoutHoles(slots, "\0".repeat(sizes.slot)).join("") });
  const ids = slotsByAddress(elements.get("affinity-ids"), sizes.entry);
  const targets = new Map<string, Map<number, string>>();
  for (const element of elements.get("affinity-endpoints") ?? []) {
    const { address, number, value } = partsOf(element, sizes.entry);
    targets.set(address, (targets.get(address) ?? new Map<number, string>()).set(number, value));
  }
  for (const key of new Set([...ids.found.keys(), ...targets.keys()])) {
    const numbers = withoutHoles(ids.found.get(key) ?? [], "\0\0\0\0").map(hostNumber);
    set(key, { sticky: { ids: numbers, slots: targets.get(key) ?? new Map() } });
  }
  const named = (name: MapName, list: readonly Element[]) => list.map((element) => [name, element] as const);
  return { contents, strays: [...named("endpoints", lists.strays), ...named("affinity-ids", ids.strays)] };
}

/** Keys of @services as addresses. Those of another length are left out: a table of another make may hold anything. */
export function* serviceAddresses(keys: readonly Uint8Array[], { entry }: Sizes): Iterable<ServiceAddress> {
  const length = entry - 8;
  for (const key of keys) {
    if (key.length !== entry) continue;
    const ip = { family: length === 4 ? 4 : 6, bytes: key.subarray(0, length) } as const;
    yield { ip, protocol: key[length] ?? 0, port: Buffer.from(key).readUInt16BE(length + 4) };
  }
}

/** Values by the number at the end of their keys, for each address. */
function slotsByAddress(
  elements: readonly Element[] = [],
  entryLength: number,
): { found: Map<string, string[]>; strays: Element[] } {
  const found = new Map<string, string[]>();
  const strays: Element[] = [];
  for (const element of elements) {
    const { address, number, value } = partsOf(element, entryLength);
    // Lists have no holes: no number is larger than there are elements.
    if (number >= elements.length) {
      strays.push(element);
      continue;
    }
    const slots = found.get(address) ?? [];
    slots[number] = value;
    found.set(address, slots);
  }
  return { found, strays };
}

function partsOf({ key, data }: Element, entryLength: number): { address: string; number: number; value: string } {
  const text = keyText(key);
  return {
    address: text.slice(0, entryLength),
    number: hostNumber(text.slice(entryLength)),
    value: data instanceof Uint8Array ? keyText(data) : "",
  };
}

function hostNumber(text: string): number {
  return Buffer.from(text, "latin1").readUInt32LE();
}

function withoutHoles(slots: readonly string[], hole: string): string[] {
  return Array.from(slots, (slot) => slot ?? hole);
}
