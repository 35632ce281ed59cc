import { existsSync, type FSWatcher, readdirSync, readFileSync, watch } from "node:fs";
import type { Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { staticPod } from "./manifest.ts";

/** An editor changes a file in several steps: they are looked at together, after so many ms. */
const SETTLE_MS = 50;
/** Changes that no notification tells of are found after so long (upstream's fileCheckFrequency), in ms. */
const CHECK_MS = 20_000;

/** The pods that the files of a node's folder describe, as they come, change and go. */
export class ManifestFolder {
  readonly #folder: string;
  readonly #node: string;
  readonly #log: Logger;
  readonly #onPods: (pods: readonly Pod[]) => void;
  #watcher: FSWatcher | undefined;
  #settle: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;
  /** What was said of files that cannot be run. */
  readonly #said = new Map<string, string>();

  /** @param onPods called with all of them, at the start too */
  constructor(folder: string, node: string, log: Logger, onPods: (pods: readonly Pod[]) => void) {
    this.#folder = folder;
    this.#node = node;
    this.#log = log;
    this.#onPods = onPods;
  }

  /** Reads the folder now, and whenever it changes. One that is not there holds nothing, until it is made. */
  start(): void {
    this.#look();
    this.#check = setInterval(() => this.#look(), CHECK_MS);
    this.#check.unref();
    this.#watch();
  }

  stop(): void {
    this.#watcher?.close();
    clearTimeout(this.#settle);
    clearInterval(this.#check);
  }

  #watch(): void {
    if (this.#watcher || !existsSync(this.#folder)) return;
    this.#watcher = watch(this.#folder, { persistent: false }, () => {
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.#look(), SETTLE_MS);
    });
    this.#watcher.on("error", (error) => this.#log.warn("Cannot watch manifests", { error: errorMessage(error) }));
  }

  #look(): void {
    this.#watch();
    if (!existsSync(this.#folder)) return this.#onPods([]);
    // As upstream: other names are manifests too, hidden files are none.
    const names = readdirSync(this.#folder).filter((name) => !name.startsWith("."));
    const pods = names.sort().map((name) => this.#read(`${this.#folder}/${name}`));
    this.#onPods(pods.filter((pod) => pod !== undefined));
  }

  #read(path: string): Pod | undefined {
    try {
      const pod = staticPod(readFileSync(path, "utf8"), this.#node);
      this.#said.delete(path);
      return pod;
    } catch (error) {
      const message = errorMessage(error);
      if (this.#said.get(path) !== message) this.#log.error("A manifest is not run", { file: path, error: message });
      this.#said.set(path, message);
      return undefined;
    }
  }
}
