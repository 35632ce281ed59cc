import pc from "picocolors";

/** Where progress is shown: standard output, or what stands in for it. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Back to the start of the line, which is cleared (ECMA-48 EL). */
const CLEAR_LINE = "\r\u001b[K";

/** The list of a start's steps: each with its time when done; on a terminal also what is under way. */
export class Progress {
  readonly #out: ProgressOutput;
  readonly #waiting: string[];

  /** @param steps names in the order in which they come */
  constructor(out: ProgressOutput, steps: readonly string[]) {
    this.#out = out;
    this.#waiting = [...steps];
    this.#showNext();
  }

  /** Shows a step as done. @param ms milliseconds since the start of the command */
  done(name: string, ms: number): void {
    const at = this.#waiting.indexOf(name);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.end();
    this.#out.write(`${pc.green("✓")} ${name.padEnd(18)} ${pc.dim(`${ms.toFixed(0).padStart(5)} ms`)}\n`);
    this.#showNext();
  }

  /** Takes away what is shown as under way, before other words are written. */
  end(): void {
    if (this.#out.isTTY) this.#out.write(CLEAR_LINE);
  }

  #showNext(): void {
    const next = this.#waiting[0];
    if (this.#out.isTTY && next !== undefined) this.#out.write(`… ${next}`);
  }
}
