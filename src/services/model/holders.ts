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

interface Claim {
  readonly owner: string;
  readonly frontend: Frontend;
}

/**
 * Which Service has which address. Several may want one (an external address and port in two Services): the one whose
 * `namespace/name` sorts first has it, so that the outcome does not depend on the order of events; when it goes, the
 * next takes over.
 */
export class Holders {
  /** For each address who wants it, sorted by owner: the first has it. */
  readonly #claims = new Map<string, Claim[]>();
  readonly #wanted = new Map<string, readonly Frontend[]>();

  /** All Services that want an address. */
  services(): IterableIterator<string> {
    return this.#wanted.keys();
  }

  /** What a Service has. */
  held(service: string): Frontend[] {
    const wanted = this.#wanted.get(service) ?? [];
    return wanted.filter((frontend) => this.holder(addressKey(frontend)) === service);
  }

  /** Who has an address. @param key an {@link addressKey} */
  holder(key: string): string | undefined {
    return this.#claims.get(key)?.[0]?.owner;
  }

  /** Wants these frontends for a Service, in place of its former ones. Of two with one address the first counts. */
  set(owner: string, frontends: readonly Frontend[]): HoldersUpdate {
    const before = this.#wanted.get(owner) ?? [];
    const after = new Map<string, Frontend>();
    for (const frontend of frontends) {
      const key = addressKey(frontend);
      if (!after.has(key)) after.set(key, frontend);
    }
    if (after.size) this.#wanted.set(owner, [...after.values()]);
    else this.#wanted.delete(owner);
    const changes = new Map<string, FrontendChange>();
    const losers = new Set<string>();
    const gained = new Map<string, string>();
    for (const key of before.map(addressKey)) {
      if (after.has(key)) continue;
      const [former, next] = this.#claim(key, owner, undefined);
      if (former?.owner !== owner) continue;
      changes.set(key, changeOf(former, next));
      if (next) gained.set(key, next.owner);
    }
    for (const [key, frontend] of after) {
      const [former, next] = this.#claim(key, owner, frontend);
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

  /** Sets or removes a claim. @returns who had the address, and who has it now */
  #claim(key: string, owner: string, frontend: Frontend | undefined): [Claim | undefined, Claim | undefined] {
    const claims = this.#claims.get(key);
    if (!claims) {
      const only = frontend && { owner, frontend };
      if (only) this.#claims.set(key, [only]);
      return [undefined, only];
    }
    const former = claims[0];
    if (frontend && claims.length === 1 && former?.owner === owner) {
      const next = { owner, frontend };
      claims[0] = next;
      return [former, next];
    }
    const others = claims.filter((claim) => claim.owner !== owner);
    const position = others.findIndex((claim) => claim.owner > owner);
    if (frontend) others.splice(position < 0 ? others.length : position, 0, { owner, frontend });
    if (others.length) this.#claims.set(key, others);
    else this.#claims.delete(key);
    return [former, others[0]];
  }
}

function changeOf(before: Claim | undefined, after: Claim | undefined): FrontendChange {
  return { ...(before && { before: before.frontend }), ...(after && { after: after.frontend }) };
}
