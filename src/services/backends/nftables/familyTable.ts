import { DeltaTracker, type Pending } from "#base/delta.ts";
import {
  type Chain,
  type Element,
  keyText,
  type Nftables,
  type NftSet,
  partTypes,
  type Rule,
  ruleText,
  sameElement,
  type TableState,
  type Transaction,
} from "#kernel/nft/index.ts";
import { Claims } from "./claims.ts";
import { type Layout, type SetName, setNames } from "./layout.ts";
import type { FrontendPlan } from "./plan.ts";
import { type ChainContent, type Treatment, treatmentChains, treatmentName } from "./treatment.ts";

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
  readonly #treatments = new Map<string, number>();
  readonly #chainCache = new Map<string, readonly ChainContent[]>();
  readonly #shared: ReadonlyMap<SetName, Claims<Element>>;
  /** The plan for each frontend address. */
  readonly #current = new Map<string, FrontendPlan>();
  #exists = false;
  /** The table in the kernel is of another make: it is replaced as a whole. */
  #isForeign = false;

  constructor(layout: Layout) {
    this.layout = layout;
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
    for (const [set, element] of plan.shared)
      this.#shared.get(set)?.claim(keyText(element.key), `${owner} ${plan.key}`, element);
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
    this.#planAdditions(transaction, "services", pending.get("services"));
    this.#planRemovals(transaction, "cluster-ips", pending.get("cluster-ips"));
    this.#planRemovals(transaction, "services", pending.get("services"));
    this.#planAdditions(transaction, "cluster-ips", pending.get("cluster-ips"));
    for (const name of beforeEntries) this.#planRemovals(transaction, name, pending.get(name));
    if (leavingChains.length === 0) return;
    transaction.together(() => {
      for (const chain of leavingChains) transaction.flushChain(chain);
      for (const chain of leavingChains) transaction.deleteChain(chain);
    });
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

  /** New chains first, all of them, so that rules may jump to each other's chains; then the rules. */
  #planChains(transaction: Transaction, { add, change }: Pending<string, ChainContent>): void {
    if (add.length + change.length === 0) return;
    transaction.together(() => {
      for (const [, { chain }] of add) transaction.addChain(chain);
      for (const [, { chain, rules }] of change) {
        transaction.flushChain(chain);
        for (const rule of rules) transaction.addRule(rule);
      }
      for (const [, { rules }] of add) for (const rule of rules) transaction.addRule(rule);
    });
  }

  #planAdditions(transaction: Transaction, name: SetName, pending: Pending<string, Element> | undefined): void {
    const set = this.layout.sets[name];
    transaction.addElements(set, pending?.add.map(([, element]) => element) ?? []);
    transaction.replaceElements(set, pending?.change.map(([, element]) => element) ?? []);
  }

  #planRemovals(transaction: Transaction, name: SetName, pending: Pending<string, Element> | undefined): void {
    transaction.deleteElements(this.layout.sets[name], pending?.remove.map(([, element]) => element) ?? []);
  }

  #setFrontend(key: string, plan: FrontendPlan | undefined): void {
    const before = this.#current.get(key);
    if (plan) this.#current.set(key, plan);
    else this.#current.delete(key);
    const kept = new Set(plan?.elements.map(([set, element]) => `${set} ${keyText(element.key)}`));
    for (const [set, element] of before?.elements ?? []) {
      const text = keyText(element.key);
      if (!kept.has(`${set} ${text}`)) this.#want(set, text, undefined);
    }
    for (const [set, element] of plan?.elements ?? []) this.#want(set, keyText(element.key), element);
    if (plan?.treatment) this.#needTreatment(plan.treatment, 1);
    if (before?.treatment) this.#needTreatment(before.treatment, -1);
  }

  #chainsFor(treatment: Treatment): readonly ChainContent[] {
    const name = treatmentName(treatment);
    const chains = this.#chainCache.get(name) ?? treatmentChains(this.layout, treatment);
    this.#chainCache.set(name, chains);
    return chains;
  }

  #want(set: SetName, key: string, element: Element | undefined): void {
    const tracker = this.#trackers.get(set) as Elements;
    if (element) tracker.setDesired(key, element);
    else tracker.deleteDesired(key);
  }

  /** Chains come with the first frontend that needs them and go with the last. */
  #needTreatment(treatment: Treatment, difference: 1 | -1): void {
    for (const { chain, rules } of this.#chainsFor(treatment)) {
      const count = (this.#treatments.get(chain.name) ?? 0) + difference;
      this.#treatments.set(chain.name, count);
      if (count === 0) {
        this.#treatments.delete(chain.name);
        this.#chains.deleteDesired(chain.name);
      } else if (count === 1 && difference === 1) this.#chains.setDesired(chain.name, { chain, rules });
    }
  }
}

/** Whether two chains have the same rules; handles, counters and origins are not compared. */
function sameChain(a: ChainContent, b: ChainContent): boolean {
  return (
    a.rules.length === b.rules.length && a.rules.every((rule, i) => ruleText(rule) === ruleText(b.rules[i] as Rule))
  );
}

/** Whether the kernel's chain of that name, if there is one, is hooked in as wanted: a hook cannot be changed. */
function hasWantedHook(wanted: Chain, state: TableState): boolean {
  const held = state.chains.find(({ name }) => name === wanted.name);
  if (!held) return true;
  const text = ({ hook }: Chain) =>
    hook ? `${hook.type} ${hook.hook} ${hook.priority} ${hook.policy ?? "accept"}` : "";
  return text(held) === text(wanted);
}

/** Whether the kernel has this set with these types. */
function isAsWanted(wanted: NftSet, state: TableState): boolean {
  const held = state.sets.find(({ name }) => name === wanted.name);
  if (!held) return false;
  const types = (parts: NftSet["data"]) =>
    Array.isArray(parts)
      ? partTypes(parts as NftSet["key"])
          .map(({ name }) => name)
          .join(" . ")
      : (parts ?? "");
  return (
    types(held.key) === types(wanted.key) &&
    types(held.data) === types(wanted.data) &&
    Boolean(held.dynamic) === Boolean(wanted.dynamic) &&
    Boolean(held.timeout) === Boolean(wanted.timeout)
  );
}
