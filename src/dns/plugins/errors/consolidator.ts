import type { Logger } from "#base/log.ts";

/** Errors whose text matches are counted and written once per interval. */
export interface Consolidation {
  readonly intervalMs: number;
  readonly pattern: RegExp;
  /** The pattern as written. */
  readonly source: string;
  readonly level: string;
  /** The first of an interval is written at once too. */
  readonly showFirst?: boolean;
}

/** Writes errors, those with a consolidation rule as a number per interval. The first matching rule counts. */
export class Consolidator {
  readonly #rules: readonly Consolidation[];
  readonly #log: Logger;
  readonly #open = new Map<Consolidation, { count: number; readonly timer: NodeJS.Timeout }>();

  constructor(rules: readonly Consolidation[], log: Logger) {
    this.#rules = rules;
    this.#log = log;
  }

  /** @param text what the rules look at; `line` what is written when none matches */
  error(text: string, line: string): void {
    const rule = this.#rules.find(({ pattern }) => pattern.test(text));
    if (!rule) {
      this.#log.error(line);
      return;
    }
    const open = this.#open.get(rule);
    if (open) {
      open.count++;
      return;
    }
    if (rule.showFirst) this.#log.error(line);
    const timer = setTimeout(() => this.#flush(rule), rule.intervalMs);
    timer.unref();
    this.#open.set(rule, { count: 1, timer });
  }

  /** Writes what is counted so far. */
  stop(): void {
    for (const rule of [...this.#open.keys()]) this.#flush(rule);
  }

  #flush(rule: Consolidation): void {
    const open = this.#open.get(rule);
    if (!open) return;
    clearTimeout(open.timer);
    this.#open.delete(rule);
    const line = `${open.count} errors like '${rule.source}' occurred in last ${rule.intervalMs / 1000}s`;
    if (rule.level === "warning") this.#log.warn(line);
    else if (rule.level === "info") this.#log.info(line);
    else if (rule.level === "debug") this.#log.debug(line);
    else this.#log.error(line);
  }
}
