/** Characters that the warnings of one answer may have together, and each of them once that is not enough. */
const totalLimit = 4 * 1024;
const itemLimit = 256;

/**
 * The warnings of one answer, each once. Where they are too long together, each is cut, and what still does not fit is
 * left out: clients refuse an answer with long headers. Source: apiserver/pkg/endpoints/filters/warning.go.
 */
export class Warnings implements Iterable<string> {
  readonly #texts = new Set<string>();
  #length = 0;
  #cutting = false;

  [Symbol.iterator](): Iterator<string> {
    return this.#texts.values();
  }

  /** Adds a warning, unless there are enough. */
  push(text: string): void {
    if (text === "" || (this.#cutting && this.#length >= totalLimit)) return;
    if (!this.#cutting && this.#length + text.length > totalLimit && !this.#texts.has(text)) this.#cut();
    this.#add(text);
  }

  #cut(): void {
    const texts = [...this.#texts];
    this.#texts.clear();
    this.#length = 0;
    this.#cutting = true;
    for (const text of texts) this.#add(text);
  }

  #add(text: string): void {
    const kept =
      this.#cutting && text.length > itemLimit ? [...text.slice(0, 2 * itemLimit)].slice(0, itemLimit).join("") : text;
    if (this.#texts.has(kept)) return;
    this.#texts.add(kept);
    this.#length += kept.length;
  }
}
