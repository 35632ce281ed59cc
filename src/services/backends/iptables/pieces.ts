/** What iptables-restore is given for one table. */
interface TableLines {
  readonly table: string;
  readonly chains: string[];
  /** Rules by chain, in order of writing. */
  readonly rules: Map<string, string[]>;
  readonly inserts: string[];
  readonly removals: string[];
}

/**
 * The same text in several transactions of at most so many lines each, for a kernel that takes no larger message from
 * this process. Chains come before those that lead to them, so that whoever comes to a chain finds it whole; a chain of
 * more lines than a transaction may have is made in several, and rules that are put before others, and what goes, come last.
 */
export function inPieces(text: string, most: number): string {
  const out: string[] = [];
  for (const lines of tablesOf(text)) {
    const piece = new Piece(lines.table, most, out);
    for (const chain of leavesFirst(lines)) {
      const rules = lines.rules.get(chain) ?? [];
      const head = lines.chains.filter((line) => chainOf(line) === chain);
      if (rules.length + head.length <= most) piece.add([...head, ...rules]);
      else for (const line of [...head, ...rules]) piece.add([line]);
    }
    for (const line of [...lines.inserts, ...lines.removals]) piece.add([line]);
    piece.end();
  }
  return out.join("");
}

/** Lines that become one transaction when no more fit. */
class Piece {
  readonly #table: string;
  readonly #most: number;
  readonly #out: string[];
  #lines: string[] = [];

  constructor(table: string, most: number, out: string[]) {
    this.#table = table;
    this.#most = most;
    this.#out = out;
  }

  /** Lines that stay together. */
  add(lines: readonly string[]): void {
    if (this.#lines.length + lines.length > this.#most) this.end();
    this.#lines.push(...lines);
  }

  end(): void {
    if (this.#lines.length > 0) this.#out.push(`*${this.#table}\n${this.#lines.join("\n")}\nCOMMIT\n`);
    this.#lines = [];
  }
}

function tablesOf(text: string): TableLines[] {
  const tables: TableLines[] = [];
  for (const line of text.split("\n")) {
    const last = tables.at(-1);
    if (line.startsWith("*"))
      tables.push({ table: line.slice(1), chains: [], rules: new Map(), inserts: [], removals: [] });
    else if (line.startsWith(":")) last?.chains.push(line);
    else if (line.startsWith("-A ")) append(last?.rules, chainOf(line), line);
    else if (line.startsWith("-I ")) last?.inserts.push(line);
    else if (line.startsWith("-")) last?.removals.push(line);
  }
  return tables;
}

function append(rules: Map<string, string[]> | undefined, chain: string, line: string): void {
  const found = rules?.get(chain);
  if (found) found.push(line);
  else rules?.set(chain, [line]);
}

/** The chain of `:NAME - [0:0]` or `-A NAME …`. */
function chainOf(line: string): string {
  return (line.startsWith(":") ? line.slice(1) : line.slice(3)).split(" ", 1)[0] as string;
}

/** All chains with lines, those that others lead to first; those that go are emptied last, when nothing leads to them. */
function leavesFirst({ chains, rules, removals }: TableLines): string[] {
  const going = new Set(removals.map(chainOf));
  const all = [...chains.map(chainOf), ...rules.keys()];
  const names = new Set([...all.filter((name) => !going.has(name)), ...going]);
  const done = new Set<string>();
  const visit = (name: string): void => {
    if (done.has(name) || !names.has(name)) return;
    names.delete(name);
    for (const rule of rules.get(name) ?? []) {
      const target = / -[jg] (\S+)/.exec(rule)?.[1];
      if (target !== undefined) visit(target);
    }
    done.add(name);
  };
  for (const name of [...names]) visit(name);
  return [...done];
}
