import { backoffMs } from "#api/index.ts";
import type { Help } from "./filters.ts";

/** How long a refused pod is left alone: 50 ms after some attempts, twice as long after each further one. */
const backoff = { initialMs: 50, maxMs: 10_000 } as const;
/** So many attempts are free: what helps soon after a pod came helps those of higher priority first. */
const freeAttempts = 3;

interface Waiting {
  readonly attempts: number;
  /** Not before this moment. */
  readonly notBefore: number;
  readonly help: ReadonlySet<Help>;
}

/**
 * Which pod is next: of higher priority first, then the one that came first (kube-scheduler's PrioritySort). Pods that
 * fitted nowhere wait for something that may help them.
 */
export class SchedulingQueue {
  /** Pods to decide on, by priority; the order within one is that of arrival. */
  readonly #ready = new Map<number, Set<string>>();
  readonly #priorities = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  /** Attempts of pods that are ready again. */
  readonly #attempts = new Map<string, number>();

  /** Puts a pod in line. */
  add(key: string, priority: number): void {
    const waiting = this.#waiting.get(key);
    if (waiting) this.#attempts.set(key, waiting.attempts);
    this.#waiting.delete(key);
    if (this.#priorities.get(key) === priority) return;
    this.#unline(key);
    this.#priorities.set(key, priority);
    const line = this.#ready.get(priority);
    if (line) line.add(key);
    else this.#ready.set(priority, new Set([key]));
  }

  /** Takes the next pod out of the line. */
  take(): string | undefined {
    if (this.#ready.size === 0) return undefined;
    const line = this.#ready.get(Math.max(...this.#ready.keys()));
    const key = line?.values().next().value;
    if (key !== undefined) this.#unline(key);
    return key;
  }

  /** A pod fitted nowhere. */
  refuse(key: string, help: ReadonlySet<Help>, now: number): void {
    const attempts = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.delete(key);
    const wait = attempts <= freeAttempts ? 0 : backoffMs(backoff, attempts - freeAttempts - 1);
    this.#waiting.set(key, { attempts, notBefore: now + wait, help });
  }

  /** Pods that a change may help, with the time that they are still left alone, in ms. */
  helped(help: readonly Help[], now: number): { key: string; afterMs: number }[] {
    const found: { key: string; afterMs: number }[] = [];
    for (const [key, { help: wanted, notBefore }] of this.#waiting) {
      if (help.some((one) => wanted.has(one))) found.push({ key, afterMs: Math.max(0, notBefore - now) });
    }
    return found;
  }

  /** The pod is gone, or has its node. */
  forget(key: string): void {
    this.#unline(key);
    this.#waiting.delete(key);
    this.#attempts.delete(key);
  }

  /** Numbers of pods, for metrics. */
  sizes(): { readonly active: number; readonly unschedulable: number } {
    return { active: this.#priorities.size, unschedulable: this.#waiting.size };
  }

  #unline(key: string): void {
    const priority = this.#priorities.get(key);
    if (priority === undefined) return;
    this.#priorities.delete(key);
    const line = this.#ready.get(priority);
    line?.delete(key);
    if (line?.size === 0) this.#ready.delete(priority);
  }
}
