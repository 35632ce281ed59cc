import type { ObjectMeta } from "../types.ts";
import type { FakeEvent, FakeObject } from "./requests.ts";

/** The body of one watch: chunks waiting to be read. */
export class FakeWatch implements AsyncIterable<Uint8Array> {
  readonly #collection: string;
  readonly #matches: (object: FakeObject) => boolean;
  readonly #onEnd: () => void;
  readonly #last = new Map<string, string>();
  #queue: string[] = [];
  #wake: (() => void) | undefined;
  #ended: { readonly error?: unknown } | undefined;

  constructor(collection: string, matches: (object: FakeObject) => boolean, onEnd: () => void) {
    this.#collection = collection;
    this.#matches = matches;
    this.#onEnd = onEnd;
  }

  offer(event: FakeEvent): void {
    if (event.collection !== this.#collection) return;
    const is = this.#matches(event.object);
    const was = event.old !== undefined && this.#matches(event.old);
    if (event.type === "DELETED" ? was : was && !is) this.send("DELETED", event.object);
    else if (is) this.send(was ? "MODIFIED" : "ADDED", event.object);
  }

  send(type: string, object: unknown): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    const { namespace, name } = (object as { metadata?: ObjectMeta }).metadata ?? { name: "" };
    if (type !== "BOOKMARK") this.#last.set(`${namespace}/${name}`, line);
    this.#queue.push(line);
    this.#wake?.();
  }

  repeat(): void {
    this.#queue.push(...this.#last.values());
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#ended ??= { error };
    this.#onEnd();
    this.#wake?.();
  }

  end(): void {
    this.#ended ??= {};
    this.#onEnd();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        // Chunks are cut in the middle of lines, as a network does.
        const text = Buffer.from(this.#queue.splice(0).join(""));
        for (let at = 0; at < text.length; at += 1000) yield text.subarray(at, at + 1000);
        if (this.#queue.length > 0) continue;
        if (this.#ended && "error" in this.#ended) throw this.#ended.error;
        if (this.#ended) return;
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    } finally {
      this.#onEnd();
    }
  }
}
