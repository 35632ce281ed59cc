import { type Nftables, type Table, Transaction } from "#kernel/nft/index.ts";
import { FamilyTable } from "./familyTable.ts";
import type { Layout } from "./layout.ts";
import type { FrontendPlan } from "./plan.ts";

/** The name of the table that serves while the one of this name is made anew. */
export function standInName(tableName: string): string {
  return `${tableName}-stand-in`;
}

/** What a Service has in a family's table. */
export type OwnedPlan = readonly [service: string, plan: FrontendPlan];

/**
 * Tables that serve while a table of another make (sets of other types, other hooks) is replaced. With many Services a
 * new table takes several sends, so there has to be another one that packets find:
 *
 * ```
 * the former one ───────────────────────┐
 *            stand-in, filled ──────────┼───────────────┐
 *                                       └ deleted with  │ and gone with the last send
 *                                         the first send of the new one ────────────────>
 * ```
 * Two such tables are no trouble: the one that is hooked in last is asked first, and what finds its endpoint there asks
 * no other. What it does not have yet goes on to the other one.
 */
export class StandIns {
  readonly #nft: Nftables;
  readonly #layouts: readonly Layout[];
  /** Those in the kernel, by family. */
  #present: ReadonlySet<Table["family"]> = new Set();

  /** @param layouts of both families, with {@link standInName} */
  constructor(nft: Nftables, layouts: readonly Layout[]) {
    this.#nft = nft;
    this.#layouts = layouts;
  }

  /** Whether there is any in the kernel, as far as is known. */
  get isPresent(): boolean {
    return this.#present.size > 0;
  }

  /** Finds those that a former process, or a commit that failed, has left. */
  async look(): Promise<void> {
    const tables = await this.#nft.listTables();
    const isThere = ({ table }: Layout) =>
      tables.some(({ family, name }) => family === table.family && name === table.name);
    this.#present = new Set(this.#layouts.filter(isThere).map(({ family }) => family));
  }

  /** Has one serve in a family, or what is left of it go on. @throws NftError */
  async put(family: Table["family"], plans: Iterable<OwnedPlan>): Promise<void> {
    const layout = this.#layouts.find((one) => one.family === family);
    if (!layout) return;
    const standIn = new FamilyTable(layout);
    for (const [service, plan] of plans) standIn.setFrontend(service, plan);
    standIn.adopt(this.#present.has(family) ? await this.#nft.readTable(layout.table) : undefined);
    this.#present = new Set([...this.#present, family]);
    const transaction = new Transaction();
    standIn.plan(transaction, this.#nft);
    await this.#nft.commit(transaction);
  }

  /** Adds their removal to a transaction: at its end. When it fails, {@link look} finds what is left. */
  remove(transaction: Transaction): void {
    for (const { family, table } of this.#layouts) if (this.#present.has(family)) transaction.deleteTable(table);
    this.#present = new Set();
  }
}
