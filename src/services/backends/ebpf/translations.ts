import { DeltaTracker, type Pending } from "#base/delta.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend } from "../../model/index.ts";
import { arranged } from "../arranged.ts";
import { type Telling, type Translated, translated } from "./plan.ts";
import { ADDRESS, endpointKey, LIMITS, listOf, MEMBER_KEY, memberKey, memberRecord, serviceRecord } from "./records.ts";

/** Maps that follow the Services; the others are the programs' own. */
export const wantedMaps = ["services", "endpoints", "members"] as const;
export type WantedMap = (typeof wantedMaps)[number];

/** What such a map holds: records by keys ({@link file://./records.ts}). */
export type MapContent = Readonly<Record<WantedMap, Iterable<readonly [key: string, value: string]>>>;

/** What has to be changed in each. */
export type MapChanges = Readonly<Record<WantedMap, Pending<string, string>>>;

/** A part of a change: records that are written, or keys that are removed, one after the other. */
export interface Step {
  readonly map: WantedMap;
  readonly set: readonly (readonly [key: string, value: string])[];
  readonly remove: readonly string[];
}

/** A change in an order in which at every instant each address leads to endpoints, old ones or new ones. Pure. */
export function stepsOf(changes: MapChanges): Step[] {
  const written = (["endpoints", "members", "services"] as const).map((map): Step => {
    return { map, set: [...changes[map].add, ...changes[map].change], remove: [] };
  });
  const removed = wantedMaps.map((map): Step => ({ map, set: [], remove: changes[map].remove.map(([key]) => key) }));
  return [...written, ...removed].filter(({ set, remove }) => set.length + remove.length > 0);
}

/** A list of endpoints that is wanted. */
interface List {
  readonly id: number;
  readonly order: readonly string[];
  readonly members: ReadonlySet<string>;
}

/** Whether a change takes endpoints or addresses of UDP away: sockets may be connected to what is gone. */
export function takesUdpAway({ services, members }: MapChanges): boolean {
  const isUdp = (key: string, at: number) => key.charCodeAt(at + ADDRESS.protocol) === protocols.UDP;
  return (
    services.remove.some(([key]) => isUdp(key, 0)) || members.remove.some(([key]) => isUdp(key, MEMBER_KEY.address))
  );
}

/** What one Service has. */
interface Holding {
  readonly addresses: readonly string[];
  readonly lists: ReadonlyMap<string, List>;
}

const nothing: Holding = { addresses: [], lists: new Map() };

/**
 * What the maps are to hold and what they hold, for all Services. Lists have numbers, which they keep: also those that a
 * former process gave them.
 */
export class Translations {
  readonly #tells: Telling;
  readonly #limits: { readonly services: number; readonly endpoints: number };
  readonly #trackers: Readonly<Record<WantedMap, DeltaTracker<string, string>>> = {
    services: new DeltaTracker(),
    endpoints: new DeltaTracker(),
    members: new DeltaTracker(),
  };
  readonly #waiting = new Map<string, readonly Frontend[]>();
  readonly #held = new Map<string, Holding>();
  readonly #ids = new Set<number>();
  #nextId = 1;
  /** Services that found no room, and are left to the rules. */
  readonly #left = new Map<string, readonly Frontend[]>();

  /** @param limits most addresses, and most endpoints */
  constructor(tells: Telling, limits: { readonly services: number; readonly endpoints: number } = LIMITS) {
    this.#tells = tells;
    this.#limits = limits;
  }

  /** What a Service does now. Nothing is computed before {@link pending}. */
  set(service: string, frontends: readonly Frontend[]): void {
    this.#waiting.set(service, frontends);
  }

  /** What is really there. */
  adopt(content: MapContent): void {
    for (const name of wantedMaps) this.#trackers[name].replaceActual(content[name]);
    for (const record of this.#trackers.services.actual.values()) {
      this.#nextId = Math.max(this.#nextId, listOf(record) + 1);
    }
  }

  /** Services that are too many for the maps. */
  get left(): readonly string[] {
    return [...this.#left.keys()];
  }

  /** Whether an address leads to an endpoint, or lets its flows of UDP stay there. Both by their records. */
  serves(address: string, endpoint: string): boolean {
    const { services, members } = this.#trackers;
    const record = services.desired.get(address);
    return record !== undefined && members.desired.has(memberKey(listOf(record), endpoint));
  }

  /** Number of wanted records. */
  size(name: WantedMap): number {
    return this.#trackers[name].desired.size;
  }

  /** The difference now. */
  pending(): MapChanges {
    // What found no room tries again whenever something changes.
    const waiting = [...this.#waiting, ...[...this.#left].filter(([service]) => !this.#waiting.has(service))];
    this.#waiting.clear();
    // An address may go from one Service to another: first all that is given up.
    for (const [service] of waiting) this.#giveUpAddresses(service);
    for (const [service, frontends] of waiting) this.#hold(service, frontends);
    const { services, endpoints, members } = this.#trackers;
    return { services: services.pending(), endpoints: endpoints.pending(), members: members.pending() };
  }

  /** The pending difference is in the maps. */
  applied(): void {
    for (const name of wantedMaps) this.#trackers[name].applied();
  }

  #giveUpAddresses(service: string): void {
    for (const address of this.#held.get(service)?.addresses ?? []) this.#trackers.services.deleteDesired(address);
  }

  #hold(service: string, frontends: readonly Frontend[]): void {
    const plans = frontends.flatMap((frontend) => translated(frontend, this.#tells) ?? []);
    const before = this.#held.get(service) ?? nothing;
    const hasRoom = this.#hasRoom(before, plans);
    if (hasRoom) this.#left.delete(service);
    else this.#left.set(service, frontends);
    const wanted = hasRoom ? plans : [];
    const lists = this.#lists(wanted, before);
    for (const [name, list] of before.lists) this.#changeList(list, lists.get(name));
    for (const [name, list] of lists) if (!before.lists.has(name)) this.#changeList(undefined, list);
    for (const { address, list: name, affinitySeconds } of wanted) {
      const list = lists.get(name) as List;
      const record = serviceRecord({ list: list.id, count: list.order.length, affinitySeconds });
      this.#trackers.services.setDesired(address, record);
    }
    if (wanted.length) this.#held.set(service, { addresses: wanted.map(({ address }) => address), lists });
    else this.#held.delete(service);
  }

  #hasRoom(before: Holding, plans: readonly Translated[]): boolean {
    const byList = [...new Map(plans.map((plan) => [plan.list, plan])).values()];
    const had = [...before.lists.values()];
    const { services, endpoints, members } = this.#trackers;
    const more = {
      endpoints: sum(byList, (plan) => plan.endpoints.length) - sum(had, ({ order }) => order.length),
      members: sum(byList, (plan) => membersOf(plan).size) - sum(had, (list) => list.members.size),
    };
    return (
      services.desired.size + plans.length <= this.#limits.services &&
      endpoints.desired.size + more.endpoints <= this.#limits.endpoints &&
      members.desired.size + more.members <= this.#limits.endpoints
    );
  }

  /** The lists that are wanted, each with its number and order. */
  #lists(wanted: readonly Translated[], before: Holding): Map<string, List> {
    const lists = new Map<string, List>();
    for (const plan of wanted) {
      const { list: name, endpoints } = plan;
      if (lists.has(name)) continue;
      const known = before.lists.get(name) ?? this.#inKernel(wanted, name);
      const id = known?.id ?? this.#newId();
      this.#ids.add(id);
      lists.set(name, { id, order: arranged(known?.order ?? [], endpoints), members: membersOf(plan) });
    }
    return lists;
  }

  /** The number and order that a former process gave a list: those of an address that leads to it. */
  #inKernel(wanted: readonly Translated[], name: string): Pick<List, "id" | "order"> | undefined {
    for (const { address, list } of wanted) {
      const record = list === name ? this.#trackers.services.actual.get(address) : undefined;
      if (record === undefined || this.#ids.has(listOf(record))) continue;
      const id = listOf(record);
      const order: string[] = [];
      for (;;) {
        const endpoint = this.#trackers.endpoints.actual.get(endpointKey(id, order.length));
        if (endpoint === undefined) return { id, order };
        order.push(endpoint);
      }
    }
    return undefined;
  }

  /** A number that no list has, nor had a moment ago: programs may still be at work with it. */
  #newId(): number {
    while (this.#ids.has(this.#nextId)) this.#nextId = (this.#nextId + 1) >>> 0;
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    return id;
  }

  #changeList(before: List | undefined, after: List | undefined): void {
    const { endpoints, members } = this.#trackers;
    if (before && !after) this.#ids.delete(before.id);
    for (const [index, endpoint] of (after?.order ?? []).entries())
      if (before?.order[index] !== endpoint) endpoints.setDesired(endpointKey((after as List).id, index), endpoint);
    for (let index = after?.order.length ?? 0; index < (before?.order.length ?? 0); index++)
      endpoints.deleteDesired(endpointKey((before as List).id, index));
    const chosen = new Set(after?.order);
    for (const member of after?.members ?? [])
      members.setDesired(memberKey((after as List).id, member), memberRecord(chosen.has(member)));
    for (const member of before?.members ?? [])
      if (!after?.members.has(member)) members.deleteDesired(memberKey((before as List).id, member));
  }
}

/** Endpoints that clients may come back to. */
function membersOf({ endpoints, serving }: Translated): ReadonlySet<string> {
  return new Set(serving && [...endpoints, ...serving]);
}

function sum<T>(list: readonly T[], size: (one: T) => number): number {
  return list.reduce((total, one) => total + size(one), 0);
}
