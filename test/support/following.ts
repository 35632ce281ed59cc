import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** A program with pipes for its outputs. */
export type Piped = ChildProcessByStdio<Writable | null, Readable, Readable>;

/** A command that is running; its output grows, both streams in one. */
export class Following {
  readonly #end: () => void;
  readonly #closed: Promise<unknown>;
  #over = false;
  output = "";

  /** @param end how it is ended; as by Ctrl-C when absent */
  constructor(child: Piped, end: () => void = () => void child.kill("SIGINT")) {
    this.#end = end;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        this.output += data.toString();
      });
    // "exit" may come before the last of the output, "close" comes after it.
    this.#closed = once(child, "close").then(() => {
      this.#over = true;
    });
  }

  /** Resolves when its output matches. @throws Error with the output when it ends or takes too long */
  async shows(pattern: RegExp, timeoutMs = 30_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!pattern.test(this.output)) {
      if (this.#over || Date.now() > until) throw new Error(`the output does not show ${pattern}:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Resolves when it has ended on its own. */
  async ends(): Promise<void> {
    await this.#closed;
  }

  async stop(): Promise<void> {
    if (!this.#over) this.#end();
    await this.#closed;
  }
}
