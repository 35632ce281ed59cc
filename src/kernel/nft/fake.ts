import type { Nftables } from "./driver.ts";
import { NftError } from "./errors.ts";
import {
  copy,
  type FakeTable,
  plainData,
  refuse,
  setOf,
  tableOf,
  targetOf,
  withoutOrigin,
  withPolicy,
} from "./fakeTables.ts";
import {
  type Chain,
  type Element,
  keyText,
  type NftSet,
  partTypes,
  type Rule,
  sameElement,
  type Table,
  type TableState,
} from "./model.ts";
import { type OriginFinder, OriginRecorder } from "./originIndex.ts";
import type { ElementList } from "./packed.ts";
import { tableText } from "./text.ts";
import type { Operation, Transaction } from "./transaction.ts";

/**
 * nftables in memory, refusing what the kernel refuses: missing or used objects, an element with other data.
 * Every transaction is atomic, whatever its size.
 */
export class FakeNftables implements Nftables {
  readonly origins = new OriginRecorder();
  /** Committed transactions, oldest first. */
  readonly committed: Transaction[] = [];
  #tables = new Map<string, FakeTable>();
  #handle = 0n;
  #failures: NftError[] = [];
  readonly #listeners = new Set<(table: Table | undefined) => void>();

  /** Lets the next commit fail and leave everything as it was. */
  failNext(code: string, reason = ""): void {
    this.#failures.push(new NftError("batch", { code, reason, committedSends: 0 }));
  }

  async commit(transaction: Transaction): Promise<void> {
    const failure = this.#failures.shift();
    if (failure) throw failure;
    if (transaction.isEmpty) return;
    const before = this.#tables;
    this.#tables = copy(before);
    const handles: (bigint | undefined)[] = [];
    try {
      for (const operation of transaction.operations) handles.push(this.#apply(operation));
    } catch (error) {
      this.#tables = before;
      throw error;
    }
    for (const [index, operation] of transaction.operations.entries()) this.origins.record(operation, handles[index]);
    this.committed.push(transaction);
  }

  async listTables(): Promise<Table[]> {
    return [...this.#tables.values()].map(({ table }) => table);
  }

  async readTable(table: Table): Promise<TableState | undefined> {
    const found = this.#tables.get(tableText(table));
    if (!found) return undefined;
    return {
      table: found.table,
      chains: [...found.chains.values()].map(({ chain }) => withPolicy(chain)),
      sets: [...found.sets.values()].map(({ set }) => ({
        ...set,
        key: partTypes(set.key),
        ...plainData(set),
      })),
      rules: new Map([...found.chains].map(([name, { rules }]) => [name, [...rules]])),
      elements: new Map(
        [...found.sets].map(([name, { elements }]) => [name, [...elements.values()].map(withoutOrigin)]),
      ),
    };
  }

  async readElements(set: NftSet): Promise<Element[]> {
    const found = this.#tables.get(tableText(set.table))?.sets.get(set.name);
    if (!found)
      throw new NftError(`elements of ${set.table.name} ${set.name}`, {
        code: "ENOENT",
        reason: "",
        committedSends: 0,
      });
    return [...found.elements.values()].map(withoutOrigin);
  }

  adoptRules(rules: readonly Rule[]): void {
    this.origins.adoptRules(rules);
  }

  adoptElements(set: NftSet, elements: readonly Element[]): void {
    this.origins.adoptElements(set, elements);
  }

  tellOrigins(table: Table, find: OriginFinder): () => void {
    return this.origins.tell(table, find);
  }

  onForeignChange(listener: (table: Table | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Somebody else's change. */
  async commitAsOther(transaction: Transaction): Promise<void> {
    await this.commit(transaction);
    for (const operation of transaction.operations)
      for (const listener of this.#listeners) listener(tableOf(operation));
  }

  close(): void {}

  /** @returns the handle of a new rule */
  #apply(operation: Operation): bigint | undefined {
    switch (operation.kind) {
      case "add table": {
        const { table } = operation;
        if (!this.#tables.has(tableText(table))) {
          this.#tables.set(tableText(table), {
            table,
            chains: new Map(),
            sets: new Map(),
          });
        }
        return undefined;
      }
      case "delete table":
        if (!this.#tables.delete(tableText(operation.table))) refuse(operation, "ENOENT");
        return undefined;
      case "add chain":
      case "flush chain":
      case "delete chain":
        return this.#applyChain(operation);
      case "add rule":
      case "insert rule":
      case "replace rule":
      case "delete rule":
        return this.#applyRule(operation);
      case "add set":
      case "flush set":
      case "delete set":
        return this.#applySet(operation);
      default:
        return this.#applyElements(operation);
    }
  }

  #table(table: Table, operation: Operation): FakeTable {
    return this.#tables.get(tableText(table)) ?? refuse(operation, "ENOENT");
  }

  #applyChain(operation: Extract<Operation, { chain: Chain }>): undefined {
    const { chain } = operation;
    const { chains } = this.#table(chain.table, operation);
    const found = chains.get(chain.name);
    if (operation.kind === "add chain") {
      if (!found) chains.set(chain.name, { chain, rules: [] });
      return;
    }
    if (!found) return refuse(operation, "ENOENT");
    if (operation.kind === "flush chain") found.rules = [];
    else if (found.rules.length || this.#isJumpedTo(chain)) refuse(operation, "EBUSY");
    else chains.delete(chain.name);
  }

  #applyRule(operation: Extract<Operation, { rule: Rule }>): bigint | undefined {
    const { rule } = operation;
    const table = this.#table(rule.chain.table, operation);
    const chain = table.chains.get(rule.chain.name) ?? refuse(operation, "ENOENT");
    const position = chain.rules.findIndex(({ handle }) => handle === rule.handle);
    const isNew = operation.kind === "add rule" || operation.kind === "insert rule";
    if (!isNew && position < 0) refuse(operation, "ENOENT");
    if (operation.kind === "delete rule") {
      chain.rules.splice(position, 1);
      return undefined;
    }
    for (const statement of rule.statements) {
      const set = setOf(statement);
      if (set !== undefined && !table.sets.has(set)) refuse(operation, "ENOENT");
      const target = targetOf(statement);
      if (target !== undefined && !table.chains.has(target)) refuse(operation, "ENOENT");
    }
    const { origin: _, ...made } = { ...rule, handle: ++this.#handle };
    if (operation.kind === "add rule") chain.rules.push(made);
    else if (operation.kind === "insert rule") chain.rules.unshift(made);
    else chain.rules[position] = made;
    return made.handle;
  }

  #applySet(operation: Extract<Operation, { kind: "add set" | "flush set" | "delete set" }>): undefined {
    const { set } = operation;
    const table = this.#table(set.table, operation);
    const found = table.sets.get(set.name);
    if (operation.kind === "add set") {
      if (!found) table.sets.set(set.name, { set, elements: new Map() });
      return;
    }
    if (!found) return refuse(operation, "ENOENT");
    if (operation.kind === "flush set") {
      found.elements.clear();
      return;
    }
    const users = [...table.chains.values()].flatMap(({ rules }) =>
      rules.flatMap((rule) => rule.statements.map(setOf)),
    );
    if (users.includes(set.name)) refuse(operation, "EBUSY");
    table.sets.delete(set.name);
  }

  #applyElements(operation: Extract<Operation, { elements: ElementList }>): undefined {
    const table = this.#table(operation.set.table, operation);
    const { set, elements } = table.sets.get(operation.set.name) ?? refuse(operation, "ENOENT");
    for (const element of operation.elements) {
      const key = keyText(element.key);
      const held = elements.get(key);
      if (operation.kind !== "add elements" && !elements.delete(key)) refuse(operation, "ENOENT", element);
      if (operation.kind === "delete elements") continue;
      if (operation.kind === "add elements" && held) {
        if (!sameElement({ ...held, comment: "" }, { ...element, comment: "" })) refuse(operation, "EEXIST", element);
        continue;
      }
      const { data } = element;
      const target = data && !(data instanceof Uint8Array) && "chain" in data ? data.chain : undefined;
      if (target !== undefined && !table.chains.has(target)) refuse(operation, "ENOENT", element);
      if (set.size !== undefined && elements.size >= set.size) refuse(operation, "ENFILE", element);
      elements.set(key, element);
    }
  }

  #isJumpedTo(chain: Chain): boolean {
    const table = this.#tables.get(tableText(chain.table));
    if (!table) return false;
    for (const { rules } of table.chains.values()) {
      if (rules.some(({ statements }) => statements.some((statement) => targetOf(statement) === chain.name)))
        return true;
    }
    for (const { elements } of table.sets.values()) {
      for (const { data } of elements.values()) {
        if (data && !(data instanceof Uint8Array) && "chain" in data && data.chain === chain.name) return true;
      }
    }
    return false;
  }
}
