/**
 * Lets work begin one piece at a time, each in a turn of the event loop of its own. Many pieces that are due at once
 * and hold the event loop leave it room in between, so that what the first ones wait for goes on meanwhile.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Resolves when it is the caller's turn: at once, when nobody else has had this turn of the event loop. */
  next(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#isTaken) this.#give();
    return turn;
  }

  #give(): void {
    const go = this.#waiting.shift();
    this.#isTaken = go !== undefined;
    if (!go) return;
    go();
    setImmediate(() => this.#give());
  }
}
