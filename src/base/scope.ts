import { errorMessage } from "./errors.ts";
import type { Logger } from "./log.ts";

/**
 * A group of tasks with one end: `stop()` aborts the signal and waits for all of them, children included.
 * It is what keeps async work from being orphaned.
 */
export class Scope {
  readonly name: string;
  readonly #controller = new AbortController();
  readonly #log: Logger;
  readonly #tasks = new Map<Promise<void>, string>();
  readonly #cleanups: (() => void | Promise<void>)[] = [];
  #failure: unknown;

  constructor(name: string, log: Logger, parent?: AbortSignal) {
    this.name = name;
    this.#log = log;
    if (parent?.aborted) this.#controller.abort(parent.reason);
    else if (parent) {
      const onAbort = () => this.#controller.abort(parent.reason);
      parent.addEventListener("abort", onAbort, { once: true });
      this.#controller.signal.addEventListener("abort", () => parent.removeEventListener("abort", onAbort));
    }
  }

  /** Aborted by stop() or by the parent's signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts a task. Its failure is logged and shows in health(), unless the scope is stopping. */
  run(name: string, task: (signal: AbortSignal) => Promise<void>): void {
    if (this.signal.aborted) return;
    const running: Promise<void> = task(this.signal)
      .catch((error: unknown) => {
        if (this.signal.aborted) return;
        this.#failure = error;
        this.#log.error("Task failed", { task: `${this.name}/${name}`, error: errorMessage(error) });
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.set(running, name);
  }

  /** Runs at stop(), latest first, after the tasks have ended. */
  onStop(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  /** Names of running tasks and the first failure. */
  health(): { readonly ok: boolean; readonly tasks: readonly string[]; readonly error?: string } {
    const tasks = [...this.#tasks.values()];
    return this.#failure === undefined ? { ok: true, tasks } : { ok: false, tasks, error: errorMessage(this.#failure) };
  }

  /** Aborts and waits. Safe to call twice. */
  async stop(): Promise<void> {
    this.#controller.abort(new Error(`${this.name} stopped`));
    await Promise.allSettled(this.#tasks.keys());
    for (let cleanup = this.#cleanups.pop(); cleanup; cleanup = this.#cleanups.pop()) {
      try {
        await cleanup();
      } catch (error) {
        this.#log.error("Clean-up failed", { scope: this.name, error: errorMessage(error) });
      }
    }
  }
}
