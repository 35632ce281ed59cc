import {
  type Change,
  type Client,
  type EventRecorder,
  type Informer,
  isNotFound,
  type Pod,
  type PodStatus,
  referenceTo,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { wholeSeconds } from "#base/time.ts";
import { isMirrorPod, type ModuleNode, type ModuleSpec, mirrorPod, mirrorStatus, showsSame } from "./model.ts";
import type { ProcessRun } from "./process.ts";

/** A module of this node. */
export interface NodeModule {
  readonly spec: ModuleSpec;
  /** The run of the process that holds it; undefined when that is not running. */
  readonly run: () => ProcessRun | undefined;
  /** What is wrong with it; undefined when nothing is. Never rejects. */
  readonly problem: () => string | undefined | Promise<string | undefined>;
  /** Starts it anew, as deleting its pod does. Absent: it goes on as long as its process. */
  readonly restart?: () => Promise<void>;
}

/** What mirror pods need. */
export interface MirrorDeps {
  readonly client: Client;
  /** The informer of this node's pods. */
  readonly pods: Informer<Pod>;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly reportStatus: (pod: Pod, status: PodStatus) => void;
  /** Nobody will report of this mirror pod again. */
  readonly onGone: (uid: string) => void;
}

/** Modules are looked at this often (upstream's default period of probes), in ms. */
const PERIOD_MS = 10_000;

/** Something of the node that a mirror pod shows. */
export interface Shown {
  /** As the API is to have it. */
  readonly pod: Pod;
  readonly module?: ModuleSpec;
  /** Finds out how it is. */
  look?(): Promise<void>;
  /** Starts anew what is shown; absent: it goes on when its pod is deleted. */
  restart?(): Promise<void>;
  /** @param present the pod as the API has it; undefined when there is nothing to say yet */
  status(present: Pod, now: string): PodStatus | undefined;
}

/** A module of the node as its mirror pod shows it. */
function shownModule(module: NodeModule, node: ModuleNode): Shown {
  let problem: string | undefined;
  return {
    pod: mirrorPod(module.spec, node),
    module: module.spec,
    ...(module.restart && { restart: module.restart }),
    async look() {
      problem = await module.problem();
    },
    status: (present, now) => mirrorStatus(present, { run: module.run(), problem }, node, now),
  };
}

interface Mirror {
  readonly shown: Shown;
  /** The pod was there and was deleted by somebody. */
  wasDeleted: boolean;
  /** What is being done about it, one thing after the other. */
  work: Promise<void>;
}

/**
 * Shows what a node runs on its own, its modules and its static pods: makes mirror pods, keeps their status true, makes
 * them again.
 */
export class MirrorPods {
  readonly #node: ModuleNode;
  readonly #deps: MirrorDeps;
  readonly #mirrors = new Map<string, Mirror>();
  #nodeUid: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe = () => {};
  #stopped = false;

  constructor(modules: readonly NodeModule[], node: ModuleNode, deps: MirrorDeps) {
    this.#node = node;
    this.#deps = deps;
    for (const module of modules) this.#add(shownModule(module, node));
  }

  /** Shows something more. */
  show(shown: Shown): void {
    this.#look(this.#add(shown));
  }

  /** Shows it no longer. */
  hide(pod: Pod): void {
    const mirror = this.#mirrors.get(keyOf(pod));
    if (mirror?.shown.pod !== pod) return;
    this.#mirrors.delete(keyOf(pod));
    const present = this.#deps.pods.get(keyOf(pod));
    if (present && isMirrorPod(present)) this.#removeStray(present);
  }

  /** What a pod of this name shows has changed. */
  changed(pod: Pod): void {
    const mirror = this.#mirrors.get(keyOf(pod));
    if (mirror) this.#look(mirror);
  }

  /** The module that a pod of this name shows. */
  find(namespace: string, name: string): ModuleSpec | undefined {
    return this.#mirrors.get(`${namespace}/${name}`)?.shown.module;
  }

  /** Makes the pods and follows them. @param nodeUid the pods go with this node */
  start(nodeUid: string): void {
    if (this.#stopped) return;
    this.#nodeUid = nodeUid;
    this.#unsubscribe = this.#deps.pods.onChange((change) => this.#onChange(change));
    this.#timer = setInterval(() => void this.#checkAll(), PERIOD_MS);
    void this.#checkAll();
  }

  /** The pods stay as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#unsubscribe();
    await Promise.all([...this.#mirrors.values()].map(({ work }) => work));
  }

  #add(shown: Shown): Mirror {
    const mirror = { shown, wasDeleted: false, work: Promise.resolve() };
    this.#mirrors.set(keyOf(shown.pod), mirror);
    return mirror;
  }

  async #checkAll(): Promise<void> {
    await Promise.all(
      [...this.#mirrors.values()].map(async (mirror) => {
        await mirror.shown.look?.();
        this.#look(mirror);
      }),
    );
  }

  #onChange({ type, object }: Change<Pod>): void {
    const mirror = this.#mirrors.get(keyOf(object));
    if (!isMirrorPod(object)) return;
    if (type === "DELETED") this.#deps.onGone(object.metadata.uid ?? "");
    if (mirror) {
      // One that showed something else was replaced, by this node itself.
      if (type === "DELETED") mirror.wasDeleted = showsSame(object, mirror.shown.pod);
      this.#look(mirror);
    } else if (type !== "DELETED") this.#removeStray(object);
  }

  /** A mirror pod of a module that this node does not have any more. */
  #removeStray(pod: Pod): void {
    this.#remove(pod).catch((error: unknown) => {
      this.#deps.log.warn("A mirror pod without a module was not removed", {
        pod: keyOf(pod),
        error: errorMessage(error),
      });
    });
  }

  #look(mirror: Mirror): void {
    mirror.work = mirror.work
      .then(() => this.#ensure(mirror))
      .catch((error: unknown) => {
        // The next period tries again.
        this.#deps.log.debug("A mirror pod is not as it should be", {
          pod: keyOf(mirror.shown.pod),
          error: errorMessage(error),
        });
      });
  }

  /** One step towards a pod that shows the module; its effect comes back as a change. */
  async #ensure(mirror: Mirror): Promise<void> {
    if (this.#stopped || this.#nodeUid === undefined) return;
    if (this.#mirrors.get(keyOf(mirror.shown.pod)) !== mirror) return;
    const { pod } = mirror.shown;
    const present = this.#deps.pods.get(keyOf(pod));
    if (!present) await this.#create(mirror);
    else if (!isMirrorPod(present)) this.#deps.log.warn("A pod has a mirror pod's name", { pod: keyOf(present) });
    else if (present.metadata.deletionTimestamp !== undefined || !showsSame(present, pod)) await this.#remove(present);
    else this.#report(mirror, present);
  }

  async #create(mirror: Mirror): Promise<void> {
    const { pod, module } = mirror.shown;
    if (mirror.wasDeleted) await mirror.shown.restart?.();
    const owner = { apiVersion: "v1", kind: "Node", name: this.#node.name, uid: this.#nodeUid ?? "", controller: true };
    const wanted = { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } };
    const { wasDeleted } = mirror;
    mirror.wasDeleted = false;
    const created = await this.#deps.client.create(resources.pods, wanted);
    if (!wasDeleted || !module) return;
    const shows = `This pod shows a module of the process ${module.process} on ${this.#node.name}, which`;
    const message = mirror.shown.restart
      ? `${shows} was started anew`
      : `${shows} goes on: deleting the pod does not restart it`;
    this.#deps.events.event(referenceTo(resources.pods, created), "Normal", "MirrorPodRecreated", message);
  }

  #report({ shown }: Mirror, present: Pod): void {
    const status = shown.status(present, wholeSeconds());
    if (status) this.#deps.reportStatus(present, status);
  }

  async #remove({ metadata }: Pod): Promise<void> {
    const { name, namespace, uid } = metadata;
    try {
      await this.#deps.client.delete(resources.pods, name, namespace, {
        gracePeriodSeconds: 0,
        preconditions: { uid },
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

function keyOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
