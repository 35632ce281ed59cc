import {
  type Deployment,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesSelector,
  type OwnerReference,
  type Pod,
  type ReplicaSet,
  referenceTo,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, controllerOf, controllerReference, isPodTerminal } from "../objects.ts";
import { podIndexValues } from "../replicaset/controller.ts";
import { type DeploymentPlan, planDeployment, type Scale, sizeAnnotations } from "./plan.ts";
import { annotations, findNew } from "./replicasets.ts";
import { deploymentStatus, type RolloutEvent } from "./status.ts";

/** Rolls Deployments out by creating and sizing ReplicaSets. */
export function deploymentController(context: ControllerContext): void {
  const deployments = context.informer(resources.deployments);
  const replicaSets = context.informer(resources.replicaSets);
  const pods = context.informer(resources.pods);
  const rollout = new Rollout(context);
  const queue = context.control({
    name: "deployment",
    needs: [deployments, replicaSets, pods],
    handle: async (key) => {
      const deployment = deployments.get(key);
      if (deployment) return await rollout.sync(deployment);
    },
  });
  deployments.onChange(({ object }) => queue.add(keyOf(object)));
  replicaSets.onChange(({ object, old }) => {
    for (const one of [object, ...(old ? [old] : [])]) {
      const owner = controllerOf(one);
      if (owner?.kind === "Deployment") queue.add(`${one.metadata.namespace}/${owner.name}`);
      if (!owner) for (const above of deployments.list()) if (isFreeFor(above, one)) queue.add(keyOf(above));
    }
  });
  // Recreate waits for the last old pod to vanish, which no ReplicaSet's status shows.
  pods.onChange(({ type, object }) => {
    const owner = type === "DELETED" ? controllerOf(object) : undefined;
    const replicaSet =
      owner?.kind === "ReplicaSet" ? replicaSets.get(`${object.metadata.namespace}/${owner.name}`) : undefined;
    const above = replicaSet && controllerOf(replicaSet);
    if (above?.kind === "Deployment") queue.add(`${object.metadata.namespace}/${above.name}`);
  });
}

/** Whether a ReplicaSet that nobody owns would be the Deployment's. */
function isFreeFor({ metadata, spec }: Deployment, replicaSet: ReplicaSet): boolean {
  return (
    metadata.namespace === replicaSet.metadata.namespace &&
    controllerOf(replicaSet) === undefined &&
    replicaSet.metadata.deletionTimestamp === undefined &&
    matchesSelector(spec.selector, replicaSet.metadata.labels)
  );
}

class Rollout {
  readonly #context: ControllerContext;
  readonly #owned: { get(uid: string): ReplicaSet[] };
  readonly #podsOf: { get(uid: string): Pod[] };

  constructor(context: ControllerContext) {
    this.#context = context;
    const ownerOf = (one: ReplicaSet) => [controllerOf(one)?.uid ?? `free/${one.metadata.namespace}`];
    this.#owned = context.informer(resources.replicaSets).index(ownerOf);
    this.#podsOf = context.informer(resources.pods).index(podIndexValues);
  }

  async sync(deployment: Deployment): Promise<number | undefined> {
    await this.#claim(deployment);
    const owned = this.#owned.get(deployment.metadata.uid ?? "");
    const plan = planDeployment(deployment, owned, this.#oldPodsLeft(deployment, owned));
    let current = plan.current;
    try {
      if (plan.create) current = await this.#create(deployment, plan.create);
      const { minReadySeconds } = plan;
      if (current && minReadySeconds !== undefined) await this.#patch(current, { spec: { minReadySeconds } });
      for (const change of plan.annotate) await this.#annotate(change.replicaSet, change.annotations);
      for (const scale of plan.scale) await this.#scale(deployment, scale);
      for (const replicaSet of plan.remove) await this.#remove(replicaSet);
      await this.#noteRevision(deployment, plan);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      if (plan.create && !current) await this.#noteFailure(deployment, error);
      throw error;
    }
    return await this.#writeStatus(deployment, current, plan.create && { type: "created" });
  }

  /** Takes matching ReplicaSets that nobody owns, lets go of own ones that match no more. */
  async #claim(deployment: Deployment): Promise<void> {
    const { uid = "", namespace, deletionTimestamp } = deployment.metadata;
    if (deletionTimestamp !== undefined) return;
    for (const one of this.#owned.get(`free/${namespace}`).filter((each) => isFreeFor(deployment, each))) {
      const reference = controllerReference(resources.deployments, deployment);
      await this.#setOwners(one, [...(one.metadata.ownerReferences ?? []), reference]);
    }
    for (const one of this.#owned.get(uid)) {
      if (matchesSelector(deployment.spec.selector, one.metadata.labels)) continue;
      await this.#setOwners(
        one,
        (one.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid),
      );
    }
  }

  async #setOwners(replicaSet: ReplicaSet, ownerReferences: readonly OwnerReference[]): Promise<void> {
    const { uid, resourceVersion } = replicaSet.metadata;
    await this.#patch(replicaSet, { metadata: { uid, resourceVersion, ownerReferences } });
  }

  /** Says on the Deployment why its ReplicaSet cannot be created. */
  async #noteFailure(deployment: Deployment, error: unknown): Promise<void> {
    const message = errorMessage(error);
    await this.#writeStatus(deployment, undefined, { type: "failed", message });
  }

  /** Whether pods of older templates exist that have not come to their end. */
  #oldPodsLeft(deployment: Deployment, owned: readonly ReplicaSet[]): boolean {
    if (deployment.spec.strategy?.type !== "Recreate") return false;
    const { current } = planDeployment(deployment, owned, false);
    const old = owned.filter((one) => one !== current);
    return old.some((one) => this.#podsOf.get(one.metadata.uid ?? "").some((pod) => !isPodTerminal(pod)));
  }

  async #create(deployment: Deployment, replicaSet: ReplicaSet): Promise<ReplicaSet | undefined> {
    const replicaSets = this.#context.informer(resources.replicaSets);
    try {
      const created = await this.#context.client.create(resources.replicaSets, replicaSet);
      replicaSets.assume(created);
      if (created.spec.replicas) this.#scaled(deployment, created, 0, created.spec.replicas);
      return created;
    } catch (error) {
      if (!isAlreadyExists(error)) {
        const message = `Failed to create new replica set "${replicaSet.metadata.name}": ${errorMessage(error)}`;
        this.#event(deployment, "Warning", "ReplicaSetCreateError", message);
        throw error;
      }
      const { name, namespace } = replicaSet.metadata;
      const there = await this.#context.client.get(resources.replicaSets, name, namespace);
      if (controllerOf(there)?.uid === deployment.metadata.uid && findNew(deployment, [there])) return there;
      // Another template with the same hash has the name: the next attempt takes another hash.
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      const status = { ...deployment.status, collisionCount };
      await this.#context.client.update(resources.deployments, { ...deployment, status }, { subresource: "status" });
      return undefined;
    }
  }

  async #annotate(replicaSet: ReplicaSet, notes: Record<string, string>): Promise<void> {
    await this.#patch(replicaSet, { metadata: { annotations: notes } });
  }

  async #scale(deployment: Deployment, { replicaSet, replicas }: Scale): Promise<void> {
    const before = replicaSet.spec.replicas ?? 1;
    await this.#patch(replicaSet, { metadata: { annotations: sizeAnnotations(deployment) }, spec: { replicas } });
    this.#scaled(deployment, replicaSet, before, replicas);
  }

  async #patch(replicaSet: ReplicaSet, patch: object): Promise<void> {
    const { name, namespace } = replicaSet.metadata;
    const of = resources.replicaSets;
    const patched = await this.#context.client.patch(of, name, namespace, patch, { type: "merge" });
    this.#context.informer(of).assume(patched);
  }

  async #remove(replicaSet: ReplicaSet): Promise<void> {
    const { name, namespace, uid } = replicaSet.metadata;
    try {
      await this.#context.client.delete(resources.replicaSets, name, namespace, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #noteRevision(deployment: Deployment, plan: DeploymentPlan): Promise<void> {
    const { name, namespace, annotations: present } = deployment.metadata;
    if (!plan.revision || present?.[annotations.revision] === plan.revision) return;
    if (!plan.current && !plan.create) return;
    const patch = { metadata: { annotations: { [annotations.revision]: plan.revision } } };
    const of = resources.deployments;
    this.#context.informer(of).assume(await this.#context.client.patch(of, name, namespace, patch, { type: "merge" }));
  }

  async #writeStatus(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    event: RolloutEvent | undefined,
  ): Promise<number | undefined> {
    const deployments = this.#context.informer(resources.deployments);
    const newest = deployments.get(keyOf(deployment));
    if (!newest || newest.metadata.uid !== deployment.metadata.uid) return;
    const owned = this.#owned.get(deployment.metadata.uid ?? "");
    const fresh = owned.find((one) => one.metadata.uid === current?.metadata.uid) ?? current;
    // Generation is the one that was acted upon, so that `rollout status` does not believe too early.
    const basis = {
      ...newest,
      spec: deployment.spec,
      metadata: { ...newest.metadata, generation: deployment.metadata.generation ?? 0 },
    };
    const { status, lookAgainMs } = deploymentStatus(basis, fresh, owned, this.#context.now(), event);
    if (!equalJson(status, newest.status)) {
      try {
        const written = { ...newest, status };
        const of = resources.deployments;
        deployments.assume(await this.#context.client.update(of, written, { subresource: "status" }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    const progress = conditionOf(status.conditions, "Progressing");
    return progress?.reason === "NewReplicaSetAvailable" ? undefined : lookAgainMs;
  }

  #scaled(deployment: Deployment, replicaSet: ReplicaSet, from: number, to: number): void {
    const direction = to > from ? "up" : "down";
    const message = `Scaled ${direction} replica set ${replicaSet.metadata.name} from ${from} to ${to}`;
    this.#event(deployment, "Normal", "ScalingReplicaSet", message);
  }

  #event(deployment: Deployment, type: "Normal" | "Warning", reason: string, message: string): void {
    const about = referenceTo(resources.deployments, deployment);
    this.#context.recorder("deployment-controller").event(about, type, reason, message);
  }
}
