import { type Client, isNotFound, type Pod, resources } from "#api/index.ts";
import type { Knocker } from "./knocker.ts";

/** Moments in the life of a pod, in ms of the wall clock, as a client of the API sees them. */
export interface PodTimes {
  readonly name: string;
  /** Before the request to create it was sent. */
  created: number;
  /** The answer to that request was there. */
  written?: number;
  /** The watch told its node. */
  scheduled?: number;
  /** The watch told the phase Running, with all containers ready. */
  running?: number;
  /** A request over the network was answered. */
  answered?: number;
  node?: string;
}

/** Wall clock in ms, finer than Date.now(). */
export const clock = (): number => performance.timeOrigin + performance.now();

const PORT = 8080;

function isReady({ status }: Pod): boolean {
  return (
    status?.phase === "Running" && (status.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false)
  );
}

/** Follows the pods of one namespace and knocks at each as soon as it has an address. */
export class PodWatch {
  readonly #client: Client;
  readonly #knocker: Knocker;
  readonly #namespace: string;
  readonly #stop = new AbortController();
  readonly #pods = new Map<string, PodTimes>();
  readonly #gone = new Map<string, () => void>();
  readonly #settled = new Map<string, () => void>();

  constructor(client: Client, knocker: Knocker, namespace: string) {
    this.#client = client;
    this.#knocker = knocker;
    this.#namespace = namespace;
  }

  /** Begins to follow. */
  async start(): Promise<void> {
    const { resourceVersion } = await this.#client.list(resources.pods, { namespace: this.#namespace });
    void this.#follow(resourceVersion).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Creates a pod. @returns when it is Running and has answered */
  async create(pod: Pod): Promise<PodTimes> {
    const { name } = pod.metadata;
    const times: PodTimes = { name, created: clock() };
    this.#pods.set(name, times);
    const settled = new Promise<void>((resolve) => this.#settled.set(name, resolve));
    await this.#client.create(resources.pods, pod);
    times.written = clock();
    await settled;
    return times;
  }

  /** Deletes pods, each by a request of its own. @returns when none of them is there any more */
  async remove(names: readonly string[]): Promise<void> {
    const gone = names.map((name) => new Promise<void>((resolve) => this.#gone.set(name, resolve)));
    await Promise.all(
      names.map((name) =>
        this.#client.delete(resources.pods, name, this.#namespace).catch((error: unknown) => {
          if (!isNotFound(error)) throw error;
        }),
      ),
    );
    await Promise.all(gone);
  }

  async #follow(resourceVersion: string): Promise<void> {
    const { signal } = this.#stop;
    const events = this.#client.watch(resources.pods, { namespace: this.#namespace, resourceVersion, signal });
    for await (const { type, object } of events) {
      if (type === "DELETED") this.#gone.get(object.metadata.name)?.();
      else if (type !== "BOOKMARK") this.#see(object as Pod);
    }
  }

  #see(pod: Pod): void {
    const { name } = pod.metadata;
    const times = this.#pods.get(name);
    if (!times) return;
    if (pod.spec.nodeName !== undefined && times.scheduled === undefined) {
      times.scheduled = clock();
      times.node = pod.spec.nodeName;
    }
    if (times.running !== undefined || !isReady(pod)) return;
    times.running = clock();
    void this.#knocker.answered(name, pod.status?.podIP ?? "", PORT).then((time) => {
      times.answered = time;
      this.#settled.get(name)?.();
    });
  }
}
