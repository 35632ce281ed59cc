import { type Element, hostU32, keyText, PackedElements, sameVerdict, type Verdict } from "#kernel/nft/index.ts";
import { type Content, contentOf, listOf, type MapName } from "./content.ts";
import type { FrontendPlan } from "./plan.ts";
import type { Sizes } from "./readContents.ts";
import { isEmptySlot, keepSlots, type StickyIds, slotOf } from "./slots.ts";

/** More changed elements of one address than this do not stay together: a send has its limit. */
const MOST_TOGETHER = 1000;

/** What is to be done in one map. */
export interface MapChanges {
  readonly add: PackedElements;
  readonly change: PackedElements;
  readonly remove: PackedElements;
}

/** An entry of @services that changes to another chain with elements that change places: both at once. */
export interface MovedAddress {
  readonly entry: Element;
  readonly elements: readonly (readonly [MapName, PackedElements])[];
}

/**
 * What makes the contents of addresses the wanted ones, added up over addresses.
 *
 * Between one and the other the former chain of an address would find the new list, such as an endpoint elsewhere among
 * "the first so many are local": elements and entry of such an address are kept together in {@link moved}.
 */
export class AddressChanges {
  readonly entries: { add: Element[]; change: Element[]; remove: Element[] } = { add: [], change: [], remove: [] };
  readonly maps: Readonly<Record<MapName, MapChanges>>;
  readonly moved: MovedAddress[] = [];
  /** What addresses hold when all is done; undefined: nothing. */
  readonly next: [key: string, content: Content | undefined][] = [];
  readonly #sizes: Sizes;

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
    this.maps = {
      endpoints: this.#map("endpoints"),
      "affinity-ids": this.#map("affinity-ids"),
      "affinity-endpoints": this.#map("affinity-endpoints"),
    };
  }

  /** Compares what an address holds with what it should. Brings the order of the plan's list near to what is held. */
  compare(key: string, held: Content | undefined, plan: FrontendPlan | undefined): void {
    const { slot } = this.#sizes;
    if (held && plan) plan.list = keepSlots(listOf(held, slot), plan.list, plan.first, slot);
    const wanted = plan && contentOf(plan, slot);
    const changes: Change[] = [];
    this.#compareLists(key, held?.list ?? "", wanted?.list ?? "", changes);
    if (held?.sticky || wanted?.sticky) this.#compareSticky(key, held?.sticky, wanted?.sticky, changes);
    this.#compareEntries(key, held, wanted, changes);
    this.next.push([key, wanted]);
  }

  /** An element that nobody wants. */
  remove(name: MapName, { key }: Element): void {
    const text = keyText(key);
    const number = Buffer.from(text.slice(-4), "latin1").readUInt32LE();
    this.maps[name].remove.add(text.slice(0, -4), number, "");
  }

  #compareLists(key: string, held: string, wanted: string, changes: Change[]): void {
    if (held === wanted) return;
    // As at a first sync: there is nothing to compare.
    if (held === "") return void this.maps.endpoints.add.addList(key, wanted);
    const { slot: width } = this.#sizes;
    const count = Math.max(held.length, wanted.length) / width;
    for (let i = 0; i < count; i++) {
      const before = slotOf(held, i, width);
      const after = slotOf(wanted, i, width);
      if (before !== after) this.#differ("endpoints", key, i, isEmptySlot(before) ? "" : before, after, changes);
    }
  }

  #compareSticky(key: string, held: StickyIds = noIds, wanted: StickyIds = noIds, changes: Change[]): void {
    const count = Math.max(held.ids.length, wanted.ids.length);
    for (let i = 0; i < count; i++) {
      this.#differ("affinity-ids", key, i, idText(held.ids[i]), idText(wanted.ids[i]), changes);
    }
    for (const id of new Set([...held.slots.keys(), ...wanted.slots.keys()])) {
      this.#differ("affinity-endpoints", key, id, held.slots.get(id) ?? "", wanted.slots.get(id) ?? "", changes);
    }
  }

  /** One number of an address in one map; an empty text is nothing. */
  #differ(name: MapName, key: string, number: number, before: string, after: string, changes: Change[]): void {
    if (before === after) return;
    if (before === "") this.maps[name].add.add(key, number, after);
    else if (after === "") this.maps[name].remove.add(key, number, before);
    else changes.push([name, number, after]);
  }

  #compareEntries(
    key: string,
    held: Content | undefined,
    wanted: Content | undefined,
    changes: readonly Change[],
  ): void {
    const isSame = held?.label === wanted?.label && sameVerdictOrNone(held?.verdict, wanted?.verdict);
    if (!isSame && held?.verdict && wanted?.verdict && changes.length > 0 && changes.length <= MOST_TOGETHER) {
      this.moved.push({ entry: entryOf(key, wanted), elements: this.#packed(key, changes) });
      return;
    }
    for (const [name, number, value] of changes) this.maps[name].change.add(key, number, value);
    if (isSame) return;
    if (held?.verdict === undefined) this.entries.add.push(entryOf(key, wanted));
    else if (wanted?.verdict === undefined) this.entries.remove.push(entryOf(key, held));
    else this.entries.change.push(entryOf(key, wanted));
  }

  #packed(key: string, changes: readonly Change[]): (readonly [MapName, PackedElements])[] {
    const found = new Map<MapName, PackedElements>();
    for (const [name, number, value] of changes) {
      const elements = found.get(name) ?? this.#elements(name);
      found.set(name, elements.add(key, number, value));
    }
    return [...found];
  }

  #map(name: MapName): MapChanges {
    return { add: this.#elements(name), change: this.#elements(name), remove: this.#elements(name) };
  }

  #elements(name: MapName): PackedElements {
    const { entry, slot } = this.#sizes;
    return new PackedElements(entry + NUMBER_BYTES, name === "affinity-ids" ? NUMBER_BYTES : slot);
  }
}

/** Another value for a number of an address. */
type Change = readonly [name: MapName, number: number, value: string];

const noIds: StickyIds = { ids: [], slots: new Map() };

/** Bytes of the number at the end of a key. */
const NUMBER_BYTES = 4;

function idText(id: number | undefined): string {
  return id ? keyText(hostU32(id)) : "";
}

function entryOf(key: string, { verdict, label }: Content = { list: "" }): Element {
  return {
    key: Buffer.from(key, "latin1"),
    ...(verdict && { data: verdict }),
    ...(label !== undefined && { comment: label }),
  };
}

function sameVerdictOrNone(a: Verdict | undefined, b: Verdict | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameVerdict(a, b);
}
