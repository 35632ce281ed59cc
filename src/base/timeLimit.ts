import { type Context, createContext, Script } from "node:vm";
import { hasCode } from "./errors.ts";

/** Work took longer than it may. */
export class TimeLimitError extends Error {
  constructor(ms: number) {
    super(`took longer than ${ms} ms`);
  }
}

/**
 * Runs synchronous work that others had a hand in (patterns, rules), and breaks it off when it takes too long: nothing
 * else interrupts a regular expression that backtracks. A run costs the making of a thread, about 0.1 ms.
 */
export class TimeLimit {
  readonly #ms: number;
  readonly #script = new Script("work()");
  readonly #box: { work: () => unknown } = { work: () => undefined };
  readonly #context: Context = createContext(this.#box);

  /** @param ms longest time of a run, in milliseconds */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** @throws TimeLimitError, after which the work has been left wherever it was; and whatever the work throws */
  run<T>(work: () => T): T {
    this.#box.work = work;
    try {
      return this.#script.runInContext(this.#context, { timeout: this.#ms }) as T;
    } catch (error) {
      if (hasCode(error, "ERR_SCRIPT_EXECUTION_TIMEOUT")) throw new TimeLimitError(this.#ms);
      throw error;
    } finally {
      this.#box.work = () => undefined;
    }
  }
}
