import { setTimeout as sleep } from "node:timers/promises";
import {
  Backoff,
  type Change,
  type Client,
  type Informer,
  isConflict,
  isNotFound,
  type Pod,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { setupBackoff } from "../backoff.ts";
import { isMirrorPod } from "../modules/index.ts";
import { isStaticPod } from "../static/index.ts";
import type { PodDeps } from "./deps.ts";
import { FirstReports } from "./firstReports.ts";
import type { PodRecord } from "./record.ts";
import { graceSecondsOf } from "./terminate.ts";
import { PodWorker } from "./worker.ts";

/** Phases after which nothing of a pod is started any more. */
function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** All pods of a node. */
export class PodManager {
  readonly #deps: PodDeps;
  readonly #client: Client;
  readonly #workers = new Map<string, PodWorker>();
  /** Statuses that nobody will ask for again are forgotten through this. */
  readonly #onGone: (uid: string) => void;
  readonly #shared = { onGone: (gone: PodWorker) => this.#gone(gone), firstReports: new FirstReports() };
  /** Pods of the node's own files. */
  #static: readonly Pod[] = [];
  #started = false;
  #stopped = false;

  constructor(deps: PodDeps, client: Client, onGone: (uid: string) => void) {
    this.#deps = deps;
    this.#client = client;
    this.#onGone = onGone;
  }

  /**
   * Takes over what an earlier agent left, and starts static pods; what becomes of the API's pods waits for the API.
   * Containers without a record, from an agent killed in the middle of a start, are ended.
   * @param pods the informer of this node's pods
   */
  async start(pods: Informer<Pod>): Promise<void> {
    const records = this.#deps.records.load();
    const running = await this.#deps.runtime.running();
    const known = new Set(records.flatMap((r) => [r.holder ?? "", ...Object.values(r.containers).map((c) => c.id)]));
    await this.#deps.runtime.end(new Set([...running.values()].filter((id) => !known.has(id))));
    await this.#sweepFolders(known);
    const pids = new Map([...running].map(([pid, id]) => [id, pid]));
    const adopted = records.map((record) => this.#adopt(record, pids));
    this.#settle();
    const isOwn = ({ pod }: PodWorker) => isStaticPod(pod);
    settle(adopted.filter(isOwn), this.#static);
    this.#started = true;
    this.#startStatic();
    await pods.synced;
    if (this.#stopped) return;
    settle(
      adopted.filter((worker) => !isOwn(worker)),
      pods.list(),
    );
    pods.onChange((change) => this.#onChange(change));
  }

  /** The pods of the node's own files, all of them. Those that are not among them any more are ended. */
  setStatic(pods: readonly Pod[]): void {
    const wanted = new Set(pods.map(({ metadata }) => metadata.uid));
    const gone = this.#static.filter(({ metadata }) => !wanted.has(metadata.uid));
    this.#static = pods;
    for (const pod of gone) this.#workers.get(pod.metadata.uid ?? "")?.end(graceSecondsOf(pod));
    this.#startStatic();
  }

  /** Lets go of all pods; their containers go on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#workers.values()].map((w) => w.detach()));
  }

  /** Something that pods may wait for has changed: all look again. */
  retry(): void {
    for (const worker of this.#workers.values()) worker.changed();
  }

  /** The worker of a pod by namespace and name. */
  find(namespace: string, name: string): PodWorker | undefined {
    for (const worker of this.#workers.values()) {
      const { metadata } = worker.pod;
      if (metadata.name === name && metadata.namespace === namespace) return worker;
    }
    return undefined;
  }

  /** The workers of all pods. */
  all(): PodWorker[] {
    return [...this.#workers.values()];
  }

  /** All pods with the status that this node knows. */
  list(): Pod[] {
    return [...this.#workers.values()].map((w) => ({ ...w.pod, status: w.status }));
  }

  #adopt(record: PodRecord, pids: ReadonlyMap<string, number>): PodWorker {
    const worker = this.#add(record.pod, record);
    worker.adopt(record, pids);
    return worker;
  }

  async #sweepFolders(known: ReadonlySet<string>): Promise<void> {
    const { runtime, log } = this.#deps;
    const remove = (id: string) =>
      runtime.remove(id).catch((error: unknown) => {
        log.warn("Files of a container that has ended were not deleted", { container: id, error });
      });
    await Promise.all((await runtime.folders()).filter((id) => !known.has(id)).map(remove));
  }

  /** A serving process that has ended serves nothing any more, and the next one is told all that it is to serve. */
  #settle(): void {
    this.#deps.servers.settle().catch((error: unknown) => {
      this.#deps.log.warn("What an earlier agent served may still be served", { error });
    });
  }

  #onChange({ type, object: pod }: Change<Pod>): void {
    if (this.#stopped || isMirrorPod(pod)) return;
    const worker = this.#workers.get(pod.metadata.uid ?? "");
    if (type === "DELETED") worker?.end(0);
    else if (worker) worker.update(pod);
    else if (pod.metadata.deletionTimestamp !== undefined) void this.#delete(pod);
    else if (!isFinished(pod)) {
      const { name, namespace } = pod.metadata;
      this.#deps.log.info("SyncLoop ADD", { source: "api", pod: `${namespace}/${name}` });
      this.#add(pod).changed();
    }
  }

  /** Starts static pods that do not run, unless another one of that name has not ended yet. */
  #startStatic(): void {
    if (!this.#started || this.#stopped) return;
    for (const pod of this.#static) {
      const { name, namespace = "", uid = "" } = pod.metadata;
      if (!this.#workers.has(uid) && !this.find(namespace, name)) this.#add(pod).changed();
    }
  }

  #add(pod: Pod, record?: PodRecord): PodWorker {
    const worker = new PodWorker(pod, this.#deps, this.#shared, record);
    this.#workers.set(worker.uid, worker);
    return worker;
  }

  #gone(worker: PodWorker): void {
    this.#workers.delete(worker.uid);
    this.#startStatic();
    // Its mirror pod, whose status it is, is not the manager's.
    if (isStaticPod(worker.pod)) return;
    void this.#delete(worker.pod).finally(() => this.#onGone(worker.uid));
  }

  /** The object goes when nothing of the pod is left on the node; tried until the API can be reached. */
  async #delete(pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const body = { gracePeriodSeconds: 0, preconditions: { uid } };
    const backoff = new Backoff(setupBackoff);
    while (!this.#stopped) {
      try {
        await this.#client.delete(resources.pods, name, namespace, body);
        return;
      } catch (error) {
        // Gone, or replaced by another pod of the same name.
        if (isNotFound(error) || isConflict(error)) return;
        this.#deps.log.debug("A pod was not deleted", { pod: `${namespace}/${name}`, error: errorMessage(error) });
        await sleep(backoff.failed(performance.now()), undefined, { ref: false });
      }
    }
  }
}

/** Decides about pods that were taken over. @param wanted those that there are; others have gone while no agent ran */
function settle(adopted: readonly PodWorker[], wanted: readonly Pod[]): void {
  const byUid = new Map(wanted.map((pod) => [pod.metadata.uid, pod]));
  for (const worker of adopted) {
    const pod = byUid.get(worker.uid);
    if (pod) worker.resume(pod);
    else worker.end(0);
  }
}
