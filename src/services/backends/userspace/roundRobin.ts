/** Clients that one balancer remembers for affinity; the one that was silent for the longest time makes room. */
export const MAX_CLIENTS = 65_535;

interface Remembered<T> {
  readonly target: T;
  readonly usedMs: number;
}

/**
 * Which target a connection gets: each in turn, or the client's former one (kube-proxy's LoadBalancerRR). It knows no
 * clock and no chance of its own.
 */
export class RoundRobin<T> {
  readonly #identity: (target: T) => string;
  /** The order in which they come. */
  #targets: readonly T[] = [];
  #identities = new Set<string>();
  #next = 0;
  #affinityMs: number | undefined;
  /** By address, the one that was silent for the longest time first. */
  readonly #clients = new Map<string, Remembered<T>>();

  /** @param identity equal for targets that are the same */
  constructor(identity: (target: T) => string) {
    this.#identity = identity;
  }

  /**
   * Balances over these from now on. Other ones than before come in a new order, so that not all nodes begin with the
   * same; clients of those that went are forgotten.
   * @param random numbers from 0 up to 1, without 1
   */
  update(targets: readonly T[], affinitySeconds: number | undefined, random: () => number): void {
    this.#affinityMs = affinitySeconds === undefined ? undefined : affinitySeconds * 1000;
    if (affinitySeconds === undefined) this.#clients.clear();
    const identities = new Set(targets.map(this.#identity));
    if (identities.size === this.#identities.size && [...identities].every((one) => this.#identities.has(one))) return;
    this.#identities = identities;
    this.#targets = shuffled(targets, random);
    this.#next = 0;
    for (const [client, { target }] of this.#clients)
      if (!identities.has(this.#identity(target))) this.#clients.delete(client);
  }

  /**
   * The target for a new connection; undefined when there are none.
   * @param client its address
   * @param nowMs of a clock that only goes forward
   * @param anew the client's former target did not answer
   */
  next(client: string, nowMs: number, anew = false): T | undefined {
    const known = anew || this.#affinityMs === undefined ? undefined : this.#clients.get(client);
    // Whole seconds, as upstream counts them.
    const isFresh = known && Math.floor((nowMs - known.usedMs) / 1000) * 1000 < (this.#affinityMs ?? 0);
    const target = isFresh ? known.target : this.#targets[this.#next];
    if (!isFresh && this.#targets.length) this.#next = (this.#next + 1) % this.#targets.length;
    if (target !== undefined && this.#affinityMs !== undefined) this.#remember(client, { target, usedMs: nowMs });
    return target;
  }

  #remember(client: string, entry: Remembered<T>): void {
    this.#clients.delete(client);
    const [oldest] = this.#clients.size >= MAX_CLIENTS ? this.#clients.keys() : [];
    if (oldest !== undefined) this.#clients.delete(oldest);
    this.#clients.set(client, entry);
  }
}

/** Fisher and Yates' shuffle. */
function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}
