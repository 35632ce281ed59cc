import {
  type Change,
  type Index,
  type Informer,
  isNamespaceTerminating,
  isNotFound,
  type KubeObject,
  keyOf,
  matchesSelector,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  type Resource,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf } from "../objects.ts";
import { PodControl, settleAll } from "../podcontrol.ts";
import { planReplicaSet } from "./plan.ts";

/** A kind that keeps a number of pods, seen as a ReplicaSet. */
interface Replicator<T extends KubeObject> {
  readonly of: Resource<T>;
  readonly name: string;
  /** What its events are from. */
  readonly component: string;
  view(object: T): ReplicaSet;
}

/** Keeps the number of pods of every ReplicaSet. */
export function replicaSetController(context: ControllerContext): void {
  const of = resources.replicaSets;
  control<ReplicaSet>(context, { of, name: "replicaset", component: "replicaset-controller", view: (one) => one });
}

/** Keeps the number of pods of every ReplicationController: one whose selector is a map. */
export function replicationController(context: ControllerContext): void {
  const of = resources.replicationControllers;
  const name = "replicationcontroller";
  control<ReplicationController>(context, { of, name, component: "replication-controller", view: asReplicaSet });
}

/** A ReplicationController in a ReplicaSet's terms. */
export function asReplicaSet({ metadata, spec, status }: ReplicationController): ReplicaSet {
  const { selector, template = { spec: { containers: [] } }, ...rest } = spec;
  const labels = selector ?? template.metadata?.labels;
  return {
    metadata,
    spec: { ...rest, selector: { ...(labels ? { matchLabels: labels } : {}) }, template },
    ...(status ? { status } : {}),
  };
}

function control<T extends KubeObject>(context: ControllerContext, kind: Replicator<T>): void {
  const owners = context.informer(kind.of);
  const pods = context.informer(resources.pods);
  const replicas = new Replicas(context, kind);
  const queue = context.control({
    name: kind.name,
    needs: [owners, pods],
    handle: async (key) => {
      const owner = owners.get(key);
      if (owner) return await replicas.sync(owner);
    },
  });
  owners.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange((change) => {
    for (const pod of [change.object, ...(change.old ? [change.old] : [])]) {
      const owner = controllerOf(pod);
      if (owner?.kind === kind.of.kind) queue.add(`${pod.metadata.namespace}/${owner.name}`);
      else if (!owner) for (const key of matching(owners.list().map(kind.view), change, pod)) queue.add(key);
    }
  });
}

class Replicas<T extends KubeObject> {
  readonly #context: ControllerContext;
  readonly #kind: Replicator<T>;
  readonly #pods: PodControl;
  readonly #podsOf: Index<Pod>;
  readonly #siblings: Index<T>;

  constructor(context: ControllerContext, kind: Replicator<T>) {
    this.#context = context;
    this.#kind = kind;
    this.#pods = new PodControl(context, kind.component, kind.of);
    this.#podsOf = context.informer(resources.pods).index(podIndexValues);
    this.#siblings = context.informer(kind.of).index((one) => [controllerOf(one)?.uid ?? ""]);
  }

  async sync(owner: T): Promise<number | undefined> {
    const replicaSet = this.#kind.view(owner);
    const read = (failure?: { reason: string; message: string }) =>
      planReplicaSet(replicaSet, this.#candidates(replicaSet), this.#context.now(), failure, this.#related(owner));
    const plan = read();
    await settleAll([
      ...plan.adopt.map((pod) => this.#pods.adopt(replicaSet, pod)),
      ...plan.release.map((pod) => this.#pods.release(replicaSet, pod)),
    ]);
    let failure: { reason: string; message: string } | undefined;
    let failed: unknown;
    try {
      if (plan.create > 0) await this.#pods.createMany(replicaSet, replicaSet.spec.template, plan.create);
      if (plan.remove.length > 0) await this.#pods.deleteMany(replicaSet, plan.remove);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      failed = error;
      failure = { reason: plan.create > 0 ? "FailedCreate" : "FailedDelete", message: errorMessage(error) };
    }
    const after = read(failure);
    await this.#writeStatus(owner, after.status);
    if (failed !== undefined) throw failed;
    return after.lookAgainMs;
  }

  #candidates({ metadata }: ReplicaSet): Pod[] {
    return [...this.#podsOf.get(metadata.uid ?? ""), ...this.#podsOf.get(`orphans/${metadata.namespace}`)];
  }

  /** Pods of the other ReplicaSets of the same Deployment. */
  #related(owner: T): Pod[] {
    const above = controllerOf(owner)?.uid;
    if (above === undefined) return [];
    const others = this.#siblings.get(above).filter(({ metadata }) => metadata.uid !== owner.metadata.uid);
    return others.flatMap(({ metadata }) => this.#podsOf.get(metadata.uid ?? ""));
  }

  async #writeStatus(owner: T, status: NonNullable<ReplicaSet["status"]>): Promise<void> {
    const informer: Informer<T> = this.#context.informer(this.#kind.of);
    const newest = informer.get(keyOf(owner)) ?? owner;
    if (equalJson(this.#kind.view(newest).status, status)) return;
    try {
      const written = { ...newest, status };
      informer.assume(await this.#context.client.update(this.#kind.of, written, { subresource: "status" }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Pods are found by their managing owner's uid, those without one by `orphans/NAMESPACE`. */
export function podIndexValues(pod: Pod): readonly string[] {
  return [controllerOf(pod)?.uid ?? `orphans/${pod.metadata.namespace}`];
}

/** ReplicaSets that an orphan would belong to. */
function matching(replicaSets: readonly ReplicaSet[], change: Change<Pod>, pod: Pod): string[] {
  if (change.type === "DELETED" || pod.metadata.labels === undefined) return [];
  return replicaSets
    .filter((one) => one.metadata.namespace === pod.metadata.namespace)
    .filter((one) => matchesSelector(one.spec.selector, pod.metadata.labels))
    .map(keyOf);
}
