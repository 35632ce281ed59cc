import type { Element, NftSet, Rule, Table, TableState } from "./model.ts";
import type { OriginFinder, OriginIndex } from "./originIndex.ts";
import type { Transaction } from "./transaction.ts";

/** nftables of one network namespace: the kernel's, or a fake. */
export interface Nftables {
  /**
   * Makes the changes. Commits run one after another in the order of calls.
   * A transaction within one send is atomic; see {@link Transaction} for larger ones.
   * @throws NftError naming the refused object
   */
  commit(transaction: Transaction): Promise<void>;
  /** All tables of the namespace in the families that the model knows. */
  listTables(): Promise<Table[]>;
  /** Everything in a table, undefined when there is no such table. */
  readTable(table: Table): Promise<TableState | undefined>;
  /** The elements of one set. Rules add elements too: this is how to see them. @throws NftError ENOENT */
  readElements(set: NftSet): Promise<Element[]>;
  /** What each rule and element that went through this driver stands for. */
  readonly origins: OriginIndex;
  /** Tells the index about rules (with handles) that were in the kernel before this process. */
  adoptRules(rules: readonly Rule[]): void;
  /** Tells the index about elements that were in the kernel before this process. */
  adoptElements(set: NftSet, elements: readonly Element[]): void;
  /**
   * Asks the maker of a table's elements for the origins that came without: no index of them has to be kept.
   * @returns ends it
   */
  tellOrigins(table: Table, find: OriginFinder): () => void;
  /**
   * Calls back, a moment later, when somebody else has changed a table: undefined when it cannot be told which one.
   * What goes through this driver is not reported.
   * @returns ends it
   */
  onForeignChange(listener: (table: Table | undefined) => void): () => void;
  /** Releases the sockets. The rules stay. */
  close(): void;
}
