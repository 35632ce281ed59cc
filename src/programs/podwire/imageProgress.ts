import pc from "picocolors";
import type { Progress } from "#images/index.ts";
import type { ProgressOutput } from "./progress.ts";

/** Back to the start of the line, which is cleared (ECMA-48 EL). */
const CLEAR_LINE = "\r\u001b[K";
/** On a terminal at most so often, in ms. */
const EVERY_MS = 100;

const WORDS: Readonly<Record<Progress["state"], string>> = {
  fetching: "fetching",
  unpacking: "unpacking",
  done: "done",
  exists: "already here",
};

/** Shows how an image comes: a line for each layer when it is there, and on a terminal how far all of them are. */
export class LayerProgress {
  readonly #out: ProgressOutput;
  readonly #layers = new Map<string, Progress>();
  #shownAt = 0;

  constructor(out: ProgressOutput) {
    this.#out = out;
  }

  /** Takes news of one layer. */
  report(progress: Progress): void {
    this.#layers.set(progress.digest, progress);
    if (progress.state === "done" || progress.state === "exists") {
      this.end();
      this.#out.write(`${progress.digest.slice(7, 19)}  ${pc.dim(WORDS[progress.state])}\n`);
    }
    if (this.#out.isTTY) this.#showAll();
  }

  /** Takes away what is shown as under way. */
  end(): void {
    if (this.#out.isTTY) this.#out.write(CLEAR_LINE);
  }

  #showAll(): void {
    const now = performance.now();
    if (now - this.#shownAt < EVERY_MS) return;
    this.#shownAt = now;
    const parts = [...this.#layers.values()].filter(({ state }) => state === "fetching" || state === "unpacking");
    const words = parts.map(({ digest, state, done, total }) => {
      const share = total === 0 ? 100 : Math.floor((done / total) * 100);
      return `${digest.slice(7, 13)} ${state === "fetching" ? `${share} %` : WORDS[state]}`;
    });
    this.#out.write(`${CLEAR_LINE}${words.length ? `… ${words.join("  ").slice(0, 76)}` : ""}`);
  }
}
