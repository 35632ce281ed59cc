import type { Table } from "./serviceRules.ts";

/** Lines of a table for iptables-restore: chains (made, or emptied), rules, and what goes. */
export class TableText {
  readonly #table: Table;
  readonly #chains: string[] = [];
  readonly #jumps: string[] = [];
  readonly #rules: string[] = [];
  readonly #removals: string[] = [];

  constructor(table: Table) {
    this.#table = table;
  }

  /** How many rules it writes, into chains of ours. */
  get count(): number {
    return this.#rules.length;
  }

  /** A chain with these rules and no others. */
  chain(name: string, rules: readonly string[]): void {
    this.#chains.push(`:${name} - [0:0]`);
    for (const rule of rules) this.#rules.push(`-A ${name} ${rule}`);
  }

  /** A rule before those that a chain has. */
  insert(chain: string, rule: string): void {
    this.#jumps.push(`-I ${chain} ${rule}`);
  }

  /** A chain goes. */
  remove(chain: string): void {
    // A chain can go only when it is empty, which its line sees to.
    this.#chains.push(`:${chain} - [0:0]`);
    this.#removals.push(`-X ${chain}`);
  }

  /** Empty when there is nothing to do. */
  text(): string {
    if (this.#chains.length + this.#jumps.length === 0) return "";
    const lines = [`*${this.#table}`, ...this.#chains, ...this.#jumps, ...this.#rules, ...this.#removals, "COMMIT"];
    return `${lines.join("\n")}\n`;
  }
}
