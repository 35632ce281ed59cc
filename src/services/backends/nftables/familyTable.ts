import { DeltaTracker, type Pending } from "#base/delta.ts";
import type { Origin } from "#base/origin.ts";
import { type Element, keyText, type Nftables, type TableState, type Transaction } from "#kernel/nft/index.ts";
import type { ServiceAddress } from "../../model/index.ts";
import { AddressChanges } from "./changes.ts";
import { type Content, type MapName, mapNames } from "./content.ts";
import type { Layout } from "./layout.ts";
import type { FrontendPlan, SharedSet } from "./plan.ts";
import { readContents, type Sizes, serviceAddresses } from "./readContents.ts";
import { hasWantedHook, isAsWanted, sameChain } from "./sameness.ts";
import { SharedElements } from "./sharedElements.ts";
import { slotWidth } from "./slots.ts";
import { type ChainContent, gateChain, gateName, treatmentChains, treatmentName } from "./treatment.ts";

const sharedSets = ["cluster-ips", "hairpin"] as const satisfies SharedSet[];

/**
 * The table of one family: what it should hold, what it holds, and the transaction in between.
 *
 * ```
 * frontends ──> plans by address ───────────── compared with contents by address (AddressChanges)
 *          └──> shared elements, chains ────── trackers           │
 *                                    kernel <── transaction <─────┘
 * ```
 * Endpoints are not elements here but texts, one for each address: see `packTargets`.
 */
export class FamilyTable {
  readonly layout: Layout;
  readonly #sizes: Sizes;
  readonly #shared = { "cluster-ips": new SharedElements(), hairpin: new SharedElements() } as const;
  readonly #chains = new DeltaTracker<string, ChainContent>(sameChain);
  /** How many frontends need the chain. */
  readonly #needed = new Map<string, number>();
  readonly #chainCache = new Map<string, readonly ChainContent[]>();
  /** The plan for each address, and what the kernel holds under it. */
  readonly #plans = new Map<string, FrontendPlan>();
  readonly #contents = new Map<string, Content>();
  /** Addresses whose plan and content may differ. */
  readonly #touched = new Set<string>();
  #strays: readonly (readonly [MapName, Element])[] = [];
  /** Keys of @services as they were read last. */
  #found: readonly Uint8Array[] = [];
  #changes: AddressChanges | undefined;
  #endpoints = 0;
  #exists = false;
  #isForeign = false;

  constructor(layout: Layout) {
    this.layout = layout;
    this.#sizes = { entry: (layout.family === "ip" ? 4 : 16) + 8, slot: slotWidth[layout.family] };
    for (const chain of layout.chains) {
      this.#chains.setDesired(chain.name, { chain, rules: layout.rules.filter((rule) => rule.chain === chain) });
    }
  }

  /** Whether no address of the kernel's table leads anywhere, and the table is not another's. */
  get isEmpty(): boolean {
    return this.#contents.size + this.#strays.length === 0 && !this.#isForeign;
  }

  /** Whether the table in the kernel is of another make, so that the next transaction replaces it as a whole. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  /** A frontend of the Service `owner`, in place of the one it had at this address. */
  setFrontend(owner: string, plan: FrontendPlan): void {
    this.#setFrontend(plan.key, plan);
    for (const [set, element] of plan.shared) this.#shared[set].want(element, `${owner} ${plan.key}`, true);
  }

  /** The Service has no such frontend any more. */
  removeFrontend(owner: string, plan: FrontendPlan): void {
    // It may be another Service's by now.
    if (this.#plans.get(plan.key) === plan) this.#setFrontend(plan.key, undefined);
    for (const [set, element] of plan.shared) this.#shared[set].want(element, `${owner} ${plan.key}`, false);
  }

  /** Shared elements of the former plan that the new one lacks. Call it after {@link setFrontend}. */
  releaseShared(owner: string, former: FrontendPlan, plan: FrontendPlan): void {
    const kept = new Set(plan.shared.map(([set, element]) => `${set} ${keyText(element.key)}`));
    for (const [set, element] of former.shared) {
      const isKept = kept.has(`${set} ${keyText(element.key)}`);
      if (!isKept) this.#shared[set].want(element, `${owner} ${plan.key}`, false);
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
    this.#found = (state?.elements.get("services") ?? []).map(({ key }) => key);
    this.#chains.replaceActual(
      (known?.chains ?? []).map((chain) => [chain.name, { chain, rules: known?.rules.get(chain.name) ?? [] }] as const),
    );
    for (const name of sharedSets) this.#shared[name].adopt(known?.elements.get(name) ?? []);
    const { contents, strays } = known ? readContents(known, this.#sizes) : { contents: new Map(), strays: [] };
    for (const key of this.#contents.keys()) this.#touched.add(key);
    this.#contents.clear();
    for (const [key, content] of contents) this.#contents.set(key, content);
    for (const key of [...contents.keys(), ...this.#plans.keys()]) this.#touched.add(key);
    this.#strays = strays;
  }

  /** Addresses in the state that was adopted last. */
  foundAddresses(): Iterable<ServiceAddress> {
    return serviceAddresses(this.#found, this.#sizes);
  }

  /** The origin of an element of the maps, which is its frontend's. */
  originOf(set: string, key: Uint8Array): Origin | undefined {
    if (set !== "services" && !mapNames.some((name) => name === set)) return undefined;
    return this.#plans.get(keyText(key.subarray(0, this.#sizes.entry)))?.origin;
  }

  /**
   * Adds to a transaction what makes the kernel's table the wanted one; nothing when it is already.
   * @param nft is told the origins of what is there and stays: a restarted process made nothing itself, and an object may
   * move without its rules changing
   */
  plan(transaction: Transaction, nft: Nftables): void {
    const { sets } = this.layout;
    const chains = this.#chains.pending();
    const changes = this.#compare();
    const clusterIps = this.#shared["cluster-ips"].pending();
    const hairpin = this.#shared.hairpin.pending();
    this.#adoptOrigins(nft, chains.same, { "cluster-ips": clusterIps.same, hairpin: hairpin.same });
    this.#planTable(transaction);
    this.#planChains(transaction, chains);
    // What entries of @services lead to is there before them, and stays until they are gone.
    for (const name of mapNames) transaction.addElements(sets[name], changes.maps[name].add);
    transaction.addElements(sets.hairpin, hairpin.add);
    for (const { entry, elements } of changes.moved) {
      transaction.together(() => {
        for (const [name, packed] of elements) transaction.replaceElements(sets[name], packed);
        transaction.replaceElements(sets.services, [entry]);
      });
    }
    for (const name of mapNames) transaction.replaceElements(sets[name], changes.maps[name].change);
    transaction.replaceElements(sets.hairpin, hairpin.change);
    transaction.replaceElements(sets.services, changes.entries.change);
    transaction.addElements(sets.services, changes.entries.add);
    transaction.deleteElements(sets["cluster-ips"], clusterIps.remove);
    transaction.deleteElements(sets.services, changes.entries.remove);
    transaction.addElements(sets["cluster-ips"], clusterIps.add);
    transaction.replaceElements(sets["cluster-ips"], clusterIps.change);
    for (const name of mapNames) transaction.deleteElements(sets[name], changes.maps[name].remove);
    transaction.deleteElements(sets.hairpin, hairpin.remove);
    for (const [, { chain }] of chains.remove) transaction.flushChain(chain);
    for (const [, { chain }] of chains.remove) transaction.deleteChain(chain);
  }

  #adoptOrigins(
    nft: Nftables,
    chains: Pending<string, ChainContent>["same"],
    elements: Readonly<Record<SharedSet, readonly Element[]>>,
  ): void {
    for (const [name, wanted] of chains) {
      const held = this.#chains.actual.get(name)?.rules ?? [];
      nft.adoptRules(
        held.map((rule, index) => {
          const origin = wanted.rules[index]?.origin;
          return origin ? { ...rule, origin } : rule;
        }),
      );
    }
    for (const name of sharedSets) if (elements[name].length) nft.adoptElements(this.layout.sets[name], elements[name]);
  }

  /** The planned transaction is on its way. When it fails, {@link adopt} comes before the next one. */
  applied(): void {
    this.#exists = true;
    this.#isForeign = false;
    this.#found = [];
    this.#chains.applied();
    for (const name of sharedSets) this.#shared[name].applied();
    for (const [key, content] of this.#changes?.next ?? []) {
      if (content) this.#contents.set(key, content);
      else this.#contents.delete(key);
    }
    this.#changes = undefined;
    this.#touched.clear();
    this.#strays = [];
  }

  /** Number of wanted elements of a map. */
  size(name: "services" | "endpoints"): number {
    return name === "services" ? this.#plans.size : this.#endpoints;
  }

  #compare(): AddressChanges {
    const changes = new AddressChanges(this.#sizes);
    for (const key of this.#touched) changes.compare(key, this.#contents.get(key), this.#plans.get(key));
    for (const [name, element] of this.#strays) changes.remove(name, element);
    this.#changes = changes;
    return changes;
  }

  #planTable(transaction: Transaction): void {
    const { table, sets } = this.layout;
    if (this.#exists && !this.#isForeign) return;
    transaction.together(() => {
      transaction.addTable(table);
      if (this.#isForeign) transaction.deleteTable(table).addTable(table);
      for (const set of Object.values(sets)) transaction.addSet(set);
    });
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

  #setFrontend(key: string, plan: FrontendPlan | undefined): void {
    const before = this.#plans.get(key);
    if (plan) this.#plans.set(key, plan);
    else this.#plans.delete(key);
    this.#touched.add(key);
    this.#endpoints += this.#count(plan) - this.#count(before);
    if (plan) this.#needChains(plan, 1);
    if (before) this.#needChains(before, -1);
  }

  #count(plan: FrontendPlan | undefined): number {
    return plan && !plan.isSticky ? plan.list.length / this.#sizes.slot : 0;
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
