import type { StoredObject } from "../object.ts";
import { type Entry, Follower, type Store } from "../store/index.ts";

/** Which objects of a resource hold which things. */
export class Held {
  readonly #follower: Follower;
  readonly #of: (entry: Entry) => readonly (readonly [thing: string, holder: string])[];
  /** Several may hold one thing only when somebody went around the allocator. */
  readonly #holders = new Map<string, Set<string>>();

  /** @param of what an object holds, with the holder's name */
  constructor(store: Store, resource: string, of: (entry: Entry) => readonly (readonly [string, string])[]) {
    this.#of = of;
    this.#follower = new Follower(store, resource, {
      clear: () => this.#holders.clear(),
      take: (entry) => this.#take(entry),
      giveBack: (entry) => this.#giveBack(entry),
    });
  }

  has(thing: string): boolean {
    this.#follower.refresh();
    return this.#holders.has(thing);
  }

  /** Whether somebody other than `owner` holds the thing. */
  byOther(thing: string, owner: string): boolean {
    this.#follower.refresh();
    for (const holder of this.#holders.get(thing) ?? []) if (holder !== owner) return true;
    return false;
  }

  #take(entry: Entry): void {
    for (const [thing, holder] of this.#of(entry)) {
      const holders = this.#holders.get(thing);
      if (holders) holders.add(holder);
      else this.#holders.set(thing, new Set([holder]));
    }
  }

  #giveBack(entry: Entry): void {
    for (const [thing, holder] of this.#of(entry)) {
      const holders = this.#holders.get(thing);
      holders?.delete(holder);
      if (holders?.size === 0) this.#holders.delete(thing);
    }
  }
}

interface ServiceSpec {
  readonly clusterIPs?: readonly string[];
  readonly ports?: readonly { readonly nodePort?: number; readonly protocol?: string }[];
  readonly healthCheckNodePort?: number;
}

/** The addresses of a Service. */
export function addressesOf({ spec }: StoredObject): readonly string[] {
  return ((spec ?? {}) as ServiceSpec).clusterIPs?.filter((ip) => ip !== "None" && ip !== "") ?? [];
}

/** The node ports of a Service as `TCP/30080`. */
export function nodePortsOf({ spec }: StoredObject): readonly string[] {
  const { ports = [], healthCheckNodePort } = (spec ?? {}) as ServiceSpec;
  return [
    ...ports.flatMap((port) => (port.nodePort ? [`${port.protocol ?? "TCP"}/${port.nodePort}`] : [])),
    ...(healthCheckNodePort ? [`TCP/${healthCheckNodePort}`] : []),
  ];
}

/** Whom an IPAddress belongs to: a Service by its key, anything else by a name that no Service has. */
export function parentOf({ spec }: StoredObject): string {
  const { parentRef = {} } = (spec ?? {}) as { parentRef?: Record<string, string | undefined> };
  const { group = "", resource = "", namespace = "", name = "" } = parentRef;
  return group === "" && resource === "services" ? `${namespace}/${name}` : `${group}:${resource}:${namespace}/${name}`;
}
