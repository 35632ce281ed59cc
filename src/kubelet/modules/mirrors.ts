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
}

/** What mirror pods need. */
export interface MirrorDeps {
  readonly client: Client;
  /** The informer of this node's pods. */
  readonly pods: Informer<Pod>;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly reportStatus: (pod: Pod, status: PodStatus) => void;
}

/** Modules are looked at this often (upstream's default period of probes), in ms. */
const PERIOD_MS = 10_000;

interface Mirror {
  readonly module: NodeModule;
  readonly pod: Pod;
  problem: string | undefined;
  /** The pod was there and was deleted by somebody. */
  wasDeleted: boolean;
  /** What is being done about it, one thing after the other. */
  work: Promise<void>;
}

/** Shows the modules of a node as pods of kube-system: makes them, keeps their status true, makes them again. */
export class MirrorPods {
  readonly #node: ModuleNode;
  readonly #deps: MirrorDeps;
  readonly #mirrors = new Map<string, Mirror>();
  #nodeUid = "";
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe = () => {};
  #stopped = false;

  constructor(modules: readonly NodeModule[], node: ModuleNode, deps: MirrorDeps) {
    this.#node = node;
    this.#deps = deps;
    for (const module of modules) {
      const pod = mirrorPod(module.spec, node);
      const mirror = { module, pod, problem: undefined, wasDeleted: false, work: Promise.resolve() };
      this.#mirrors.set(keyOf(pod), mirror);
    }
  }

  /** The module that a pod of this name shows. */
  find(namespace: string, name: string): ModuleSpec | undefined {
    return this.#mirrors.get(`${namespace}/${name}`)?.module.spec;
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

  async #checkAll(): Promise<void> {
    await Promise.all(
      [...this.#mirrors.values()].map(async (mirror) => {
        mirror.problem = await mirror.module.problem();
        this.#look(mirror);
      }),
    );
  }

  #onChange({ type, object }: Change<Pod>): void {
    const mirror = this.#mirrors.get(keyOf(object));
    if (!isMirrorPod(object)) return;
    if (mirror) {
      if (type === "DELETED") mirror.wasDeleted = true;
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
          pod: keyOf(mirror.pod),
          error: errorMessage(error),
        });
      });
  }

  /** One step towards a pod that shows the module; its effect comes back as a change. */
  async #ensure(mirror: Mirror): Promise<void> {
    if (this.#stopped) return;
    const present = this.#deps.pods.get(keyOf(mirror.pod));
    if (!present) await this.#create(mirror);
    else if (!isMirrorPod(present)) this.#deps.log.warn("A pod has a mirror pod's name", { pod: keyOf(present) });
    else if (present.metadata.deletionTimestamp !== undefined || !showsSame(present, mirror.pod))
      await this.#remove(present);
    else this.#report(mirror, present);
  }

  async #create(mirror: Mirror): Promise<void> {
    const { pod, module } = mirror;
    const owner = { apiVersion: "v1", kind: "Node", name: this.#node.name, uid: this.#nodeUid, controller: true };
    const wanted = { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } };
    const { wasDeleted } = mirror;
    mirror.wasDeleted = false;
    const created = await this.#deps.client.create(resources.pods, wanted);
    if (!wasDeleted) return;
    const message = `This pod shows a module of the process ${module.spec.process} on ${this.#node.name}, which goes on: deleting the pod does not restart it`;
    this.#deps.events.event(referenceTo(resources.pods, created), "Normal", "MirrorPodRecreated", message);
  }

  #report({ module, problem }: Mirror, present: Pod): void {
    const now = wholeSeconds();
    this.#deps.reportStatus(present, mirrorStatus(present, { run: module.run(), problem }, this.#node, now));
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
