import { DeltaTracker, type Pending } from "#base/delta.ts";
import {
  type Element,
  keyText,
  type Nftables,
  sameElement,
  type TableState,
  type Transaction,
} from "#kernel/nft/index.ts";
import { Claims } from "./claims.ts";
import { type Layout, type SetName, setNames } from "./layout.ts";
import type { FrontendPlan } from "./plan.ts";
import { renumbered } from "./renumbered.ts";
import { hasWantedHook, isAsWanted, sameChain } from "./sameness.ts";
import { type ChainContent, gateChain, gateName, treatmentChains, treatmentName } from "./treatment.ts";

type Elements = DeltaTracker<string, Element>;

/** Sets whose elements are ours to decide; @affinity is filled by the rules. */
const ownSets = setNames.filter((name) => name !== "affinity");
/** What entries of @services lead to has to be there before them, and to stay until they are gone. */
const beforeEntries = ["endpoints", "affinity-ids", "affinity-endpoints", "hairpin"] as const satisfies SetName[];

/**
 * The table of one family: what it should hold, what it holds, and the transaction in between.
 *
 * ```
 * frontends ──> elements (shared ones: claims) ──> trackers: one for each set, one for the chains
 *                                                                │ pending
 *                                    kernel <── transaction <────┘
 * ```
 */
export class FamilyTable {
  readonly layout: Layout;
  readonly #trackers: ReadonlyMap<SetName, Elements>;
  readonly #chains = new DeltaTracker<string, ChainContent>(sameChain);
  /** How many frontends need the chain. */
  readonly #needed = new Map<string, number>();
  readonly #chainCache = new Map<string, readonly ChainContent[]>();
  readonly #shared: ReadonlyMap<SetName, Claims<Element>>;
  /** The plan for each frontend address. */
  readonly #current = new Map<string, FrontendPlan>();
  /** Length of a key of @services, with which keys of endpoints begin. */
  readonly #entryLength: number;
  #exists = false;
  /** The table in the kernel is of another make: it is replaced as a whole. */
  #isForeign = false;

  constructor(layout: Layout) {
    this.layout = layout;
    this.#entryLength = (layout.family === "ip" ? 4 : 16) + 8;
    this.#trackers = new Map(setNames.map((name) => [name, new DeltaTracker<string, Element>(sameElement)]));
    this.#shared = new Map(
      ownSets.map((name) => [name, new Claims<Element>((key, value) => this.#want(name, key, value))]),
    );
    for (const chain of layout.chains) {
      this.#chains.setDesired(chain.name, { chain, rules: layout.rules.filter((rule) => rule.chain === chain) });
    }
  }

  /** A frontend of the Service `owner`, in place of the one it had at this address. */
  setFrontend(owner: string, plan: FrontendPlan): void {
    this.#setFrontend(plan.key, plan);
    const claimant = `${owner} ${plan.key}`;
    for (const [set, element] of plan.shared) this.#shared.get(set)?.claim(keyText(element.key), claimant, element);
  }

  /** The Service has no such frontend any more. */
  removeFrontend(owner: string, plan: FrontendPlan): void {
    // It may be another Service's by now.
    if (this.#current.get(plan.key) === plan) this.#setFrontend(plan.key, undefined);
    for (const [set, element] of plan.shared)
      this.#shared.get(set)?.release(keyText(element.key), `${owner} ${plan.key}`);
  }

  /** Shared elements of the former plan that the new one lacks. Call it after {@link setFrontend}. */
  releaseShared(owner: string, former: FrontendPlan, plan: FrontendPlan): void {
    const kept = new Set(plan.shared.map(([set, element]) => `${set} ${keyText(element.key)}`));
    for (const [set, element] of former.shared) {
      const key = keyText(element.key);
      if (!kept.has(`${set} ${key}`)) this.#shared.get(set)?.release(key, `${owner} ${plan.key}`);
    }
  }

  /** Takes the state that a driver read as the truth. */
  adopt(state: TableState | undefined): void {
    const { sets } = this.layout;
    this.#exists = state !== undefined;
    this.#isForeign =
      state !== undefined &&
      !(
        Object.values(sets).every((set) => isAsWanted(set, state)) &&
        this.layout.chains.every((chain) => hasWantedHook(chain, state))
      );
    const known = this.#isForeign ? undefined : state;
    this.#chains.replaceActual(
      (known?.chains ?? []).map((chain) => [chain.name, { chain, rules: known?.rules.get(chain.name) ?? [] }] as const),
    );
    for (const [name, tracker] of this.#trackers) {
      if (name === "affinity") continue;
      tracker.replaceActual(
        (known?.elements.get(name) ?? []).map((element) => [keyText(element.key), element] as const),
      );
    }
  }

  /**
   * Gives the driver the origins of what is in the kernel and stays. Call it with {@link plan}, before {@link applied}:
   * a restarted process made nothing itself, and an object may move without its rules changing.
   */
  adoptOrigins(nft: Nftables): void {
    for (const [name, wanted] of this.#chains.pending().same) {
      const held = this.#chains.actual.get(name)?.rules ?? [];
      nft.adoptRules(
        held.map((rule, index) => {
          const origin = wanted.rules[index]?.origin;
          return origin ? { ...rule, origin } : rule;
        }),
      );
    }
    for (const name of ownSets) {
      // Of an empty set nothing stays: at a first sync this is all of them.
      if (this.#trackers.get(name)?.actual.size === 0) continue;
      const { same } = this.#pending(name);
      nft.adoptElements(
        this.layout.sets[name],
        same.map(([, element]) => element),
      );
    }
  }

  /** Adds to a transaction what makes the kernel's table the wanted one. Nothing when it is already. */
  plan(transaction: Transaction): void {
    const { table, sets } = this.layout;
    const pending = new Map(ownSets.map((name) => [name, this.#pending(name)]));
    const chains = this.#chains.pending();
    if (!this.#exists || this.#isForeign) {
      transaction.together(() => {
        transaction.addTable(table);
        if (this.#isForeign) transaction.deleteTable(table).addTable(table);
        for (const set of Object.values(sets)) transaction.addSet(set);
      });
    }
    const leavingChains = chains.remove.map(([, { chain }]) => chain);
    this.#planChains(transaction, chains);
    for (const name of beforeEntries) this.#planAdditions(transaction, name, pending.get(name));
    const moved = renumbered(pending, this.#entryLength);
    for (const { entry, elements } of moved.values()) {
      transaction.together(() => {
        for (const [name, element] of elements) transaction.replaceElements(sets[name], [element]);
        transaction.replaceElements(sets.services, [entry]);
      });
    }
    for (const name of [...beforeEntries, "services"] as const) {
      const changed = pending.get(name)?.change.filter(([key]) => !moved.has(key.slice(0, this.#entryLength)));
      transaction.replaceElements(sets[name], changed?.map(([, element]) => element) ?? []);
    }
    this.#planAdditions(transaction, "services", pending.get("services"));
    this.#planRemovals(transaction, "cluster-ips", pending.get("cluster-ips"));
    this.#planRemovals(transaction, "services", pending.get("services"));
    this.#planAdditions(transaction, "cluster-ips", pending.get("cluster-ips"));
    transaction.replaceElements(
      sets["cluster-ips"],
      pending.get("cluster-ips")?.change.map(([, element]) => element) ?? [],
    );
    for (const name of beforeEntries) this.#planRemovals(transaction, name, pending.get(name));
    for (const chain of leavingChains) transaction.flushChain(chain);
    for (const chain of leavingChains) transaction.deleteChain(chain);
  }

  /** The planned transaction is in the kernel. */
  applied(): void {
    this.#exists = true;
    this.#isForeign = false;
    this.#chains.applied();
    for (const tracker of this.#trackers.values()) tracker.applied();
  }

  /** Number of wanted elements of a set. */
  size(name: SetName): number {
    return this.#trackers.get(name)?.desired.size ?? 0;
  }

  #pending(name: SetName): Pending<string, Element> {
    return (this.#trackers.get(name) as Elements).pending();
  }

  /**
   * New chains first, all of them, so that rules may jump to each other's chains; then the rules. Nothing leads to a new
   * chain before it has its rules: they may go in pieces.
   */
  #planChains(transaction: Transaction, { add, change }: Pending<string, ChainContent>): void {
    for (const [, { chain }] of add) transaction.addChain(chain);
    for (const [, { rules }] of add) for (const rule of rules) transaction.addRule(rule);
    for (const [, { chain, rules }] of change) {
      transaction.together(() => {
        transaction.flushChain(chain);
        for (const rule of rules) transaction.addRule(rule);
      });
    }
  }

  #planAdditions(transaction: Transaction, name: SetName, pending: Pending<string, Element> | undefined): void {
    transaction.addElements(this.layout.sets[name], pending?.add.map(([, element]) => element) ?? []);
  }

  #planRemovals(transaction: Transaction, name: SetName, pending: Pending<string, Element> | undefined): void {
    transaction.deleteElements(this.layout.sets[name], pending?.remove.map(([, element]) => element) ?? []);
  }

  #setFrontend(key: string, plan: FrontendPlan | undefined): void {
    const before = this.#current.get(key);
    if (plan) this.#current.set(key, plan);
    else this.#current.delete(key);
    if (before) {
      const kept = new Set(plan?.elements.map(([set, element]) => `${set} ${keyText(element.key)}`));
      for (const [set, element] of before.elements) {
        const text = keyText(element.key);
        if (!kept.has(`${set} ${text}`)) this.#want(set, text, undefined);
      }
    }
    for (const [set, element] of plan?.elements ?? []) this.#want(set, keyText(element.key), element);
    if (plan) this.#needChains(plan, 1);
    if (before) this.#needChains(before, -1);
  }

  #chainsFor({ treatment, gate }: FrontendPlan): ChainContent[] {
    const cached = (name: string, make: () => readonly ChainContent[]) => {
      const chains = this.#chainCache.get(name) ?? make();
      this.#chainCache.set(name, chains);
      return chains;
    };
    return [
      ...(treatment ? cached(treatmentName(treatment), () => treatmentChains(this.layout, treatment)) : []),
      ...(gate ? cached(gateName(gate), () => [gateChain(this.layout, gate)]) : []),
    ];
  }

  #want(set: SetName, key: string, element: Element | undefined): void {
    const tracker = this.#trackers.get(set) as Elements;
    if (element) tracker.setDesired(key, element);
    else tracker.deleteDesired(key);
  }

  /** Chains come with the first frontend that needs them and go with the last. */
  #needChains(plan: FrontendPlan, difference: 1 | -1): void {
    for (const { chain, rules } of this.#chainsFor(plan)) {
      const count = (this.#needed.get(chain.name) ?? 0) + difference;
      this.#needed.set(chain.name, count);
      if (count === 0) {
        this.#needed.delete(chain.name);
        this.#chainCache.delete(chain.name);
        this.#chains.deleteDesired(chain.name);
      } else if (count === 1 && difference === 1) this.#chains.setDesired(chain.name, { chain, rules });
    }
  }
}
