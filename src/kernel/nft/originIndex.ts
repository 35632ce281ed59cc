import type { Origin } from "#base/origin.ts";
import { type Element, type Family, keyText, type NftSet, type Rule, type Table } from "./model.ts";
import { PackedElements } from "./packed.ts";
import type { Operation } from "./transaction.ts";

/** Says which object a rule or element in the kernel stands for. */
export interface OriginIndex {
  /** Origin of a rule by the handle that traces and listings show. */
  rule(family: Family, table: string, chain: string, handle: bigint): Origin | undefined;
  /** Origin of an element by its key bytes. */
  element(family: Family, table: string, set: string, key: Uint8Array): Origin | undefined;
}

/** The origin of an element by its set and key, asked of who made it. */
export type OriginFinder = (set: string, key: Uint8Array) => Origin | undefined;

/** The index of one driver, in memory. */
export class OriginRecorder implements OriginIndex {
  readonly #rules = new Map<string, Map<bigint, Origin>>();
  readonly #elements = new Map<string, Map<string, Origin>>();
  readonly #finders = new Map<string, OriginFinder>();

  rule(family: Family, table: string, chain: string, handle: bigint): Origin | undefined {
    return this.#rules.get(`${family} ${table} ${chain}`)?.get(handle);
  }

  element(family: Family, table: string, set: string, key: Uint8Array): Origin | undefined {
    const recorded = this.#elements.get(`${family} ${table} ${set}`)?.get(keyText(key));
    return recorded ?? this.#finders.get(`${family} ${table}`)?.(set, key);
  }

  /** Asks for origins of a table's elements that are not recorded. @returns ends it */
  tell({ family, name }: Table, find: OriginFinder): () => void {
    const place = `${family} ${name}`;
    this.#finders.set(place, find);
    return () => {
      if (this.#finders.get(place) === find) this.#finders.delete(place);
    };
  }

  /** Records rules that are in the kernel already, such as those a former process made. */
  adoptRules(rules: readonly Rule[]): void {
    for (const rule of rules) this.#recordRule(rule, rule.handle);
  }

  /** Records elements that are in the kernel already. */
  adoptElements(set: NftSet, elements: readonly Element[]): void {
    const origins = this.#of(this.#elements, placeOf(set.table, set.name));
    for (const element of elements) {
      if (element.origin) origins.set(keyText(element.key), element.origin);
      else if (origins.size) origins.delete(keyText(element.key));
    }
  }

  /** Records a committed operation. `handle` is the one that a new rule got. */
  record(operation: Operation, handle?: bigint): void {
    switch (operation.kind) {
      case "add rule":
      case "insert rule":
        return this.#recordRule(operation.rule, handle);
      case "replace rule":
        this.#forgetRule(operation.rule);
        return this.#recordRule(operation.rule, handle);
      case "delete rule":
        return this.#forgetRule(operation.rule);
      case "flush chain":
      case "delete chain":
        this.#rules.delete(placeOf(operation.chain.table, operation.chain.name));
        return;
      case "add elements":
      case "replace elements":
        if (operation.elements instanceof PackedElements) return;
        return this.adoptElements(operation.set, operation.elements);
      case "delete elements": {
        const origins = this.#elements.get(placeOf(operation.set.table, operation.set.name));
        if (origins) for (const element of operation.elements) origins.delete(keyText(element.key));
        return;
      }
      case "flush set":
      case "delete set":
        this.#elements.delete(placeOf(operation.set.table, operation.set.name));
        return;
      case "delete table":
        return this.#forgetTable(operation.table);
    }
  }

  #recordRule(rule: Rule, handle: bigint | undefined): void {
    if (!rule.origin || handle === undefined) return;
    this.#of(this.#rules, placeOf(rule.chain.table, rule.chain.name)).set(handle, rule.origin);
  }

  #forgetRule(rule: Rule): void {
    if (rule.handle !== undefined) this.#rules.get(placeOf(rule.chain.table, rule.chain.name))?.delete(rule.handle);
  }

  #forgetTable(table: Table): void {
    for (const index of [this.#rules, this.#elements]) {
      for (const place of index.keys()) if (place.startsWith(`${table.family} ${table.name} `)) index.delete(place);
    }
  }

  #of<K>(index: Map<string, Map<K, Origin>>, place: string): Map<K, Origin> {
    const origins = index.get(place) ?? new Map<K, Origin>();
    index.set(place, origins);
    return origins;
  }
}

function placeOf(table: Table, name: string): string {
  return `${table.family} ${table.name} ${name}`;
}
