import type { Chain, Element, NftSet, Rule, Table } from "./model.ts";
import type { ElementList } from "./packed.ts";
import { chainText, elementKeyText, elementText, quote, ruleText, setText, tableText } from "./text.ts";

/** One step of a transaction. */
export type Operation =
  | { readonly kind: "add table" | "delete table"; readonly table: Table }
  | {
      readonly kind: "add chain" | "flush chain" | "delete chain";
      readonly chain: Chain;
    }
  | { readonly kind: "add rule" | "insert rule"; readonly rule: Rule }
  | {
      readonly kind: "replace rule" | "delete rule";
      readonly rule: Rule & { readonly handle: bigint };
    }
  | {
      readonly kind: "add set" | "flush set" | "delete set";
      readonly set: NftSet;
    }
  | {
      readonly kind: "add elements" | "delete elements" | "replace elements";
      readonly set: NftSet;
      readonly elements: ElementList;
    };

/**
 * Changes to be made together. Nothing happens until a driver commits it.
 *
 * A transaction whose messages fit one send is atomic. A larger one goes in pieces in its own order, cut between
 * operations and between elements: order it so that each prefix leaves a state that does no harm (first what new
 * entries refer to, then the entries, then removals). Operations inside {@link together} are never parted.
 */
export class Transaction {
  readonly #operations: Operation[] = [];
  /** Group number of each operation; a cut is allowed only where it changes. */
  readonly #groups: number[] = [];
  #group = 0;
  #nested = false;

  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Group numbers beside {@link operations}. */
  get groups(): readonly number[] {
    return this.#groups;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  /** Keeps the operations that `work` adds in one atomic piece. */
  together(work: () => void): this {
    if (this.#nested) {
      work();
      return this;
    }
    this.#nested = true;
    try {
      work();
    } finally {
      this.#nested = false;
      this.#group++;
    }
    return this;
  }

  /** Makes the table unless it exists. */
  addTable(table: Table): this {
    return this.#add({ kind: "add table", table });
  }

  /** Removes the table with everything in it. */
  deleteTable(table: Table): this {
    return this.#add({ kind: "delete table", table });
  }

  /** Makes the chain unless it exists. */
  addChain(chain: Chain): this {
    return this.#add({ kind: "add chain", chain });
  }

  /** Removes the chain's rules. */
  flushChain(chain: Chain): this {
    return this.#add({ kind: "flush chain", chain });
  }

  /** Removes the chain, which must have no rules (flush it first) and nothing that jumps to it. */
  deleteChain(chain: Chain): this {
    return this.#add({ kind: "delete chain", chain });
  }

  /** Adds the rule at the chain's end. */
  addRule(rule: Rule): this {
    return this.#add({ kind: "add rule", rule });
  }

  /** Adds the rule at the chain's start. */
  insertRule(rule: Rule): this {
    return this.#add({ kind: "insert rule", rule });
  }

  /** Puts the rule in the place of the one with `handle`. */
  replaceRule(rule: Rule & { readonly handle: bigint }): this {
    return this.#add({ kind: "replace rule", rule });
  }

  deleteRule(rule: Rule & { readonly handle: bigint }): this {
    return this.#add({ kind: "delete rule", rule });
  }

  /** Makes the set or map unless it exists. */
  addSet(set: NftSet): this {
    return this.#add({ kind: "add set", set });
  }

  flushSet(set: NftSet): this {
    return this.#add({ kind: "flush set", set });
  }

  deleteSet(set: NftSet): this {
    return this.#add({ kind: "delete set", set });
  }

  /** Adds elements. A key that is there with other data fails with EEXIST: see {@link replaceElements}. */
  addElements(set: NftSet, elements: ElementList): this {
    return elements.length ? this.#add({ kind: "add elements", set, elements }) : this;
  }

  /** Removes elements by key. */
  deleteElements(set: NftSet, elements: ElementList): this {
    return elements.length ? this.#add({ kind: "delete elements", set, elements }) : this;
  }

  /** Gives elements that are there other data: a removal and an addition, never parted. */
  replaceElements(set: NftSet, elements: ElementList): this {
    return elements.length ? this.#add({ kind: "replace elements", set, elements }) : this;
  }

  /** nft's text of the transaction, one command a line, as `nft -f` reads it. */
  toString(): string {
    return this.#operations.map((operation) => `${operationText(operation)}\n`).join("");
  }

  #add(operation: Operation): this {
    this.#operations.push(operation);
    this.#groups.push(this.#group);
    if (!this.#nested) this.#group++;
    return this;
  }
}

/** nft's text of one operation; a replacement of elements takes two lines. */
export function operationText(operation: Operation): string {
  switch (operation.kind) {
    case "add table":
    case "delete table":
      return tableOperation(operation.kind, operation.table);
    case "add chain":
      return `add chain ${chainText(operation.chain)}`;
    case "flush chain":
    case "delete chain":
      return `${operation.kind} ${tableText(operation.chain.table)} ${operation.chain.name}`;
    case "add rule":
    case "insert rule":
      return `${operation.kind} ${place(operation.rule)} ${ruleText(operation.rule)}`;
    case "replace rule":
      return `replace rule ${place(operation.rule)} handle ${operation.rule.handle} ${ruleText(operation.rule)}`;
    case "delete rule":
      return `delete rule ${place(operation.rule)} handle ${operation.rule.handle}`;
    case "add set":
      return `add ${setText(operation.set)}`;
    case "flush set":
    case "delete set":
      return `${operation.kind.replace("set", mapOrSet(operation.set))} ${tableText(operation.set.table)} ${operation.set.name}`;
    case "add elements":
      return elementsText("add", operation.set, operation.elements);
    case "delete elements":
      return elementsText("delete", operation.set, operation.elements);
    case "replace elements":
      return `${elementsText("delete", operation.set, operation.elements)}\n${elementsText("add", operation.set, operation.elements)}`;
  }
}

function tableOperation(kind: "add table" | "delete table", table: Table): string {
  const comment = kind === "add table" && table.comment ? ` { comment ${quote(table.comment)} ; }` : "";
  return `${kind} ${tableText(table)}${comment}`;
}

function place(rule: Rule): string {
  return `${tableText(rule.chain.table)} ${rule.chain.name}`;
}

function mapOrSet(set: NftSet): string {
  return set.data ? "map" : "set";
}

function elementsText(verb: "add" | "delete", set: NftSet, elements: ElementList): string {
  const show = (element: Element) => (verb === "add" ? elementText(set, element) : elementKeyText(set, element.key));
  return `${verb} element ${tableText(set.table)} ${set.name} { ${[...elements].map(show).join(", ")} }`;
}
