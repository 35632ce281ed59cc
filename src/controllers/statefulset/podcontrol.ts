import {
  type EventRecorder,
  isAlreadyExists,
  isNotFound,
  type PersistentVolumeClaim,
  type Pod,
  referenceTo,
  resources,
  type StatefulSet,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { ControllerContext } from "../context.ts";
import { claimOwners, isStale } from "./claims.ts";
import { claimsOf, ordinalOf, podIndexLabel, podNameLabel } from "./pods.ts";

/** Creates, deletes and marks the pods and claims of StatefulSets, and says so in events with upstream's words. */
export class StatefulPodControl {
  readonly #context: ControllerContext;
  readonly #recorder: EventRecorder;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#recorder = context.recorder("statefulset-controller");
  }

  /** Creates the pod's claims, then the pod. False when a claim of the pod's predecessor has to go first. */
  async create(set: StatefulSet, pod: Pod): Promise<boolean> {
    const claims = this.#context.informer(resources.persistentVolumeClaims);
    const present = claimsOf(set, ordinalOf(set, pod)).map(({ metadata }) =>
      claims.get(`${metadata.namespace}/${metadata.name}`),
    );
    if (present.some((claim) => claim !== undefined && isStale(claim, pod))) return false;
    await this.#recorded("create", set, pod, async () => {
      await this.createClaims(set, pod);
      this.#context.informer(resources.pods).assume(await this.#context.client.create(resources.pods, pod));
    });
    return true;
  }

  /** Creates the claims that a pod lacks. */
  async createClaims(set: StatefulSet, pod: Pod): Promise<void> {
    for (const claim of claimsOf(set, ordinalOf(set, pod))) await this.#createClaim(set, pod, claim);
  }

  /** Deletes a pod; one that is gone is fine. */
  async delete(set: StatefulSet, pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    await this.#recorded("delete", set, pod, async () => {
      const options = { preconditions: { uid } };
      const going = await this.#context.client.delete(resources.pods, name, namespace, options);
      if (going) this.#context.informer(resources.pods).assume(going);
    });
  }

  /** Gives a pod back the labels of its identity. */
  async relabel(set: StatefulSet, pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const labels = { [podNameLabel]: name, [podIndexLabel]: String(ordinalOf(set, pod)) };
    await this.#recorded("update", set, pod, async () => {
      const patch = { metadata: { uid, labels } };
      const patched = await this.#context.client.patch(resources.pods, name, namespace, patch, { type: "merge" });
      this.#context.informer(resources.pods).assume(patched);
    });
  }

  /** Lets claims be owned by what they shall go with: the set, their pod, or nothing. */
  async retain(set: StatefulSet, pod: Pod, condemned: boolean): Promise<void> {
    const claims = this.#context.informer(resources.persistentVolumeClaims);
    for (const { metadata } of claimsOf(set, ordinalOf(set, pod))) {
      const claim = claims.get(`${metadata.namespace}/${metadata.name}`);
      const ownerReferences = claim && claimOwners(set, pod, claim, condemned);
      if (!claim || !ownerReferences) continue;
      const { name, namespace, uid, resourceVersion } = claim.metadata;
      const patch = { metadata: { uid, resourceVersion, ownerReferences } };
      const of = resources.persistentVolumeClaims;
      claims.assume(await this.#context.client.patch(of, name, namespace, patch, { type: "merge" }));
    }
  }

  async #createClaim(set: StatefulSet, pod: Pod, claim: PersistentVolumeClaim): Promise<void> {
    const claims = this.#context.informer(resources.persistentVolumeClaims);
    const { name, namespace } = claim.metadata;
    if (claims.get(`${namespace}/${name}`)) return;
    const what = `create Claim ${name} Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name}`;
    const about = referenceTo(resources.statefulSets, set);
    try {
      claims.assume(await this.#context.client.create(resources.persistentVolumeClaims, claim));
      this.#recorder.event(about, "Normal", "SuccessfulCreate", `${what} success`);
    } catch (error) {
      if (isAlreadyExists(error)) return;
      const failure = what.replace(" Pod ", " for Pod ");
      this.#recorder.event(about, "Warning", "FailedCreate", `${failure} failed error: ${errorMessage(error)}`);
      throw new Error(`failed to create PVC ${name}: ${errorMessage(error)}`, { cause: error });
    }
  }

  async #recorded(
    verb: "create" | "delete" | "update",
    set: StatefulSet,
    pod: Pod,
    work: () => Promise<void>,
  ): Promise<void> {
    const about = referenceTo(resources.statefulSets, set);
    const what = `${verb} Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name}`;
    const reason = `${verb[0]?.toUpperCase()}${verb.slice(1)}`;
    try {
      await work();
      this.#recorder.event(about, "Normal", `Successful${reason}`, `${what} successful`);
    } catch (error) {
      if (verb === "create" ? isAlreadyExists(error) : isNotFound(error)) return;
      this.#recorder.event(about, "Warning", `Failed${reason}`, `${what} failed error: ${errorMessage(error)}`);
      throw error;
    }
  }
}
