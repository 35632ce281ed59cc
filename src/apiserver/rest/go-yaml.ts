import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { workerFile } from "#base/entry.ts";
import { readJson } from "./go-json.ts";
import type { YamlAnswer } from "./yaml.worker.ts";
import { YamlError } from "./yaml-document.ts";

export { YamlError } from "./yaml-document.ts";

/** A YAML value and what strict decoding holds against its text. */
export interface ReadYaml {
  readonly value: unknown;
  /** Go's one text for all keys that come twice, or nothing. */
  readonly faults: readonly string[];
}

/** Bounds of one document. */
export interface YamlLimits {
  /** Time for it once the thread is there, in ms. */
  readonly ms: number;
  /** Memory for it, in MiB. */
  readonly megabytes: number;
}

const yamlLimits: YamlLimits = { ms: 20_000, megabytes: 768 };

/**
 * Reads YAML, of which JSON is a part. Clients send JSON as YAML, which is read as such. What is not JSON is read one
 * after the other on a thread of its own, which begins at the first need: a body of 3 MiB takes ten seconds, and some of
 * a few hundred bytes take for ever.
 */
export class YamlReader {
  readonly #limits: YamlLimits;
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(limits = yamlLimits) {
    this.#limits = limits;
  }

  /** The value; of a key that comes twice the last one counts. Rejects with YamlError. */
  async read(bytes: Buffer): Promise<ReadYaml> {
    const json = jsonOf(bytes);
    if (json) return json;
    const turn = this.#last.then(() => this.#ask(bytes.toString("utf8")));
    this.#last = turn.catch(() => {});
    const answer = await turn;
    if ("error" in answer) throw new YamlError(answer.error);
    return { value: JSON.parse(answer.json) as unknown, faults: answer.faults };
  }

  /** Ends the thread; what it still had to read is refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #start(): Promise<Worker> {
    if (this.#stopped) throw stopped();
    const worker = new Worker(workerFile("apiserver/rest/yaml.worker.ts"), {
      name: "yaml",
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.megabytes },
    });
    await once(worker, "message");
    if (!this.#stopped) return worker;
    await worker.terminate();
    throw stopped();
  }

  async #ask(text: string): Promise<YamlAnswer> {
    const worker = (this.#worker ??= await this.#start());
    if (this.#stopped) throw stopped();
    const { promise, resolve, reject } = Promise.withResolvers<YamlAnswer>();
    const timer = setTimeout(() => reject(new YamlError("yaml: document takes too long to read")), this.#limits.ms);
    const onExit = () => reject(stopped());
    worker.ref();
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", onExit);
    worker.postMessage(text);
    try {
      return await promise;
    } catch (error) {
      if (this.#worker === worker) this.#worker = undefined;
      // Nothing else ends a document that is being read.
      worker.on("error", () => {});
      await worker.terminate();
      if ((error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY")
        throw new YamlError("yaml: document takes too much memory to read");
      throw error;
    } finally {
      clearTimeout(timer);
      worker.off("message", resolve);
      worker.off("error", reject);
      worker.off("exit", onExit);
      worker.unref();
    }
  }
}

function stopped(): YamlError {
  return new YamlError("yaml: the server is stopping");
}

/** What is JSON without repeated keys is read as such. */
function jsonOf(bytes: Buffer): ReadYaml | undefined {
  if (bytes[0] !== 0x7b) return undefined;
  try {
    const { value, duplicates } = readJson(bytes);
    return duplicates.length === 0 ? { value, faults: [] } : undefined;
  } catch {
    return undefined;
  }
}
