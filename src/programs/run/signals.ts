import { constants } from "node:os";

const PASSED_ON = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
/** So many requests to end are passed on; the next one is an order (Docker's command line has the same number). */
const REQUESTS = 2;

/** What signals are for. */
export interface SignalTarget {
  kill(signal: number): void;
}

/** Passes signals of this process on to a container, once there is one. */
export class Signals {
  #target: SignalTarget | undefined;
  #ends = 0;
  readonly #terminate: number;
  /** A signal that came before there was anybody to get it. */
  #early: number | undefined;

  /** @param terminate number of the signal that SIGTERM becomes */
  constructor(terminate: number = constants.signals.SIGTERM) {
    this.#terminate = terminate;
    for (const name of PASSED_ON) process.on(name, () => this.#take(name));
  }

  /** @throws Interrupted when a signal came that would have ended the container */
  throwIfEarly(): void {
    if (this.#early !== undefined) throw new Interrupted(this.#early);
  }

  to(target: SignalTarget): void {
    this.#target = target;
    if (this.#early !== undefined) target.kill(constants.signals.SIGKILL);
  }

  #take(name: (typeof PASSED_ON)[number]): void {
    const { SIGINT, SIGTERM, SIGKILL, [name]: number } = constants.signals;
    if (number === SIGINT || number === SIGTERM) this.#ends++;
    if (!this.#target) this.#early = number;
    else if (this.#ends > REQUESTS) this.#target.kill(SIGKILL);
    else this.#target.kill(number === SIGTERM ? this.#terminate : number);
  }
}

/** A signal ended this process's work before the container ran. */
export class Interrupted extends Error {
  readonly signal: number;

  constructor(signal: number) {
    super(`interrupted by signal ${signal}`);
    this.signal = signal;
  }
}
