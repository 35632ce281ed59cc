import { type Claim, Claims } from "./claims.ts";
import { addressKey, type Frontend } from "./frontend.ts";

/** A frontend's address before and after a change. Absent before: nobody had it, or this process is new. */
export interface FrontendChange {
  readonly before?: Frontend;
  readonly after?: Frontend;
}

/** What a Service has now. */
export interface Holding {
  /** `namespace/name` */
  readonly service: string;
  readonly frontends: readonly Frontend[];
}

/** What a wish changed. */
export interface HoldersUpdate {
  /** In an order in which no address is ever two Services' at once. The last one of a Service is what it has. */
  readonly holdings: readonly Holding[];
  /** By {@link addressKey}. */
  readonly changes: ReadonlyMap<string, FrontendChange>;
}

/** The frontends that a Service wants, each address once. */
interface Wish {
  /** Of the frontends, by {@link addressKey}. */
  readonly keys: readonly string[];
  readonly frontends: readonly Frontend[];
}

const nothing: Wish = { keys: [], frontends: [] };

/**
 * Which Service has which address. Several may want one (an external address and port in two Services): {@link Claims}
 * says who has it.
 */
export class Holders {
  readonly #claims = new Claims<Frontend>();
  readonly #wanted = new Map<string, Wish>();

  /** All Services that want an address. */
  services(): IterableIterator<string> {
    return this.#wanted.keys();
  }

  /** What a Service has. */
  held(service: string): readonly Frontend[] {
    const { keys, frontends } = this.#wanted.get(service) ?? nothing;
    const has = (key: string) => this.holder(key) === service;
    return keys.every(has) ? frontends : frontends.filter((_, i) => has(keys[i] as string));
  }

  /** Who has an address. @param key an {@link addressKey} */
  holder(key: string): string | undefined {
    return this.#claims.holder(key)?.owner;
  }

  /** Wants these frontends for a Service, in place of its former ones. Of two with one address the first counts. */
  set(owner: string, frontends: readonly Frontend[]): HoldersUpdate {
    const before = this.#wanted.get(owner) ?? nothing;
    const after = wishOf(frontends);
    if (after.keys.length) this.#wanted.set(owner, after);
    else this.#wanted.delete(owner);
    const changes = new Map<string, FrontendChange>();
    const losers = new Set<string>();
    const gained = new Map<string, string>();
    const kept = isSame(before.keys, after.keys) ? undefined : new Set(after.keys);
    for (const key of before.keys) {
      if (!kept || kept.has(key)) continue;
      const [former, next] = this.#claims.set(key, owner, undefined);
      if (former?.owner !== owner) continue;
      changes.set(key, changeOf(former, next));
      if (next) gained.set(key, next.owner);
    }
    for (const [i, key] of after.keys.entries()) {
      const [former, next] = this.#claims.set(key, owner, after.frontends[i]);
      if (next?.owner !== owner) continue;
      changes.set(key, changeOf(former, next));
      if (former && former.owner !== owner) losers.add(former.owner);
    }
    return { holdings: this.#holdings(owner, losers, gained), changes };
  }

  /** Those who lose an address, then the owner, then those who get one that the owner has left. */
  #holdings(owner: string, losers: ReadonlySet<string>, gained: ReadonlyMap<string, string>): Holding[] {
    const holding = (service: string): Holding => ({ service, frontends: this.held(service) });
    if (losers.size + gained.size === 0) return [holding(owner)];
    const first = [...losers].map((service) => ({
      service,
      frontends: this.held(service).filter((frontend) => gained.get(addressKey(frontend)) !== service),
    }));
    return [...first, holding(owner), ...[...new Set(gained.values())].map(holding)];
  }
}

function wishOf(frontends: readonly Frontend[]): Wish {
  const keys = frontends.map(addressKey);
  if (keys.length < 2 || new Set(keys).size === keys.length) return { keys, frontends };
  const once = new Map<string, Frontend>();
  for (const [i, frontend] of frontends.entries()) {
    const key = keys[i] as string;
    if (!once.has(key)) once.set(key, frontend);
  }
  return { keys: [...once.keys()], frontends: [...once.values()] };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}

function changeOf(before: Claim<Frontend> | undefined, after: Claim<Frontend> | undefined): FrontendChange {
  return { ...(before && { before: before.value }), ...(after && { after: after.value }) };
}
