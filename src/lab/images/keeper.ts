import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeOptions } from "#base/entry.ts";
import { PodwireError } from "#base/errors.ts";
import { ImageFault, type ImageStore, type LayerKeeper, type UnpackMessage, type UnpackResult } from "#images/index.ts";
import { enterStage, LAB_ROOT, labInit, type StageSources } from "#lab/stage/index.ts";

/** How long the unpacking process waits for more to do, in ms. */
const IDLE_MS = 5000;

type ChildProcess = Awaited<ReturnType<typeof enterStage>>["child"];
type Waiting = { readonly resolve: () => void; readonly reject: (error: Error) => void };
/** A request without its number. */
type Request = UnpackMessage extends infer M ? (M extends UnpackMessage ? Omit<M, "id"> : never) : never;

/**
 * Keeps unpacked layers by a process in namespaces like a cluster's, which is started when it is needed and sees of
 * this machine the system's programs and the layers alone.
 */
export class StageKeeper implements LayerKeeper {
  readonly #sources: Omit<StageSources, "state" | "images">;
  readonly #store: ImageStore;
  readonly #waiting = new Map<number, Waiting>();
  #process: Promise<ChildProcess> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #next = 1;

  constructor(sources: Omit<StageSources, "state" | "images">, store: ImageStore) {
    this.#sources = sources;
    this.#store = store;
  }

  unpack(request: {
    readonly blob: string;
    readonly packing: "none" | "gzip" | "zstd";
    readonly diffId: string;
  }): Promise<void> {
    return this.#ask({ op: "unpack", ...request });
  }

  remove(layers: readonly string[]): Promise<void> {
    return this.#ask({ op: "remove", layers });
  }

  /** Ends the process. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const started = this.#process;
    this.#process = undefined;
    (await started?.catch(() => undefined))?.kill("SIGKILL");
  }

  async #ask(request: Request): Promise<void> {
    clearTimeout(this.#idle);
    const id = this.#next++;
    const answered = new Promise<void>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    try {
      this.#process ??= this.#start();
      const child = await this.#process;
      child.send({ ...request, id }, (error) => error && this.#failAll(error));
      await answered;
    } catch (error) {
      this.#waiting.delete(id);
      throw error;
    } finally {
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  async #start(): Promise<ChildProcess> {
    const log = join(this.#store.layout.path, `unpack-${process.pid}.log`);
    const fd = openSync(log, "w", 0o600);
    try {
      const command = [`${LAB_ROOT}/node`, ...nodeOptions, `${LAB_ROOT}/dist/unpack.cjs`];
      const sources = { ...this.#sources, state: this.#store.layout.lab };
      const { child } = await enterStage(sources, labInit(sources.tools), command, fd);
      await this.#ready(child);
      return child;
    } catch (error) {
      this.#process = undefined;
      const words = readFileSync(log, "utf8").trim();
      throw words ? new PodwireError("UnpackFailed", `${(error as Error).message}\n  ${words}`, {}, error) : error;
    } finally {
      closeSync(fd);
      rmSync(log, { force: true });
    }
  }

  #ready(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      child.on("message", (message: UnpackResult | { readonly ready: true }) => {
        if ("ready" in message) resolve();
        else this.#answered(message);
      });
      child.once("exit", (code, signal) => {
        this.#process = undefined;
        const error = new PodwireError("UnpackFailed", `what unpacks images ended (${signal ?? `exit code ${code}`})`);
        reject(error);
        this.#failAll(error);
      });
    });
  }

  #answered({ id, fault }: UnpackResult): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (fault) waiting?.reject(new ImageFault(fault.code, fault.message));
    else waiting?.resolve();
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
