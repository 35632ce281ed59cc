import {
  type EventRecorder,
  type Informer,
  isNotFound,
  type KubeObject,
  type Pod,
  type PodTemplateSpec,
  type Resource,
  referenceTo,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { ControllerContext } from "./context.ts";
import { controllerReference } from "./objects.ts";

/** Creates and deletes pods for an owner and says so in events, with upstream's words. */
export class PodControl {
  readonly #context: ControllerContext;
  readonly #pods: Informer<Pod>;
  readonly #recorder: EventRecorder;
  readonly #owner: Resource;

  constructor(context: ControllerContext, component: string, owner: Resource) {
    this.#context = context;
    this.#pods = context.informer(resources.pods);
    this.#recorder = context.recorder(component);
    this.#owner = owner;
  }

  /** Creates pods from a template, several at a time, twice as many after each success. Throws the first failure. */
  async createMany(owner: KubeObject, template: PodTemplateSpec, count: number): Promise<void> {
    for (let batch = 1, left = count; left > 0; batch *= 2) {
      const size = Math.min(batch, left);
      await settleAll(Array.from({ length: size }, () => this.create(owner, template)));
      left -= size;
    }
  }

  /** Creates one pod. `change` may place it or rename it. */
  async create(owner: KubeObject, template: PodTemplateSpec, change: (pod: Pod) => Pod = (pod) => pod): Promise<Pod> {
    const { labels, annotations, finalizers } = template.metadata ?? {};
    const pod: Pod = change({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "",
        generateName: `${owner.metadata.name}-`,
        ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
        ...(finalizers === undefined ? {} : { finalizers }),
        ownerReferences: [controllerReference(this.#owner, owner)],
      },
      spec: template.spec,
    });
    const about = referenceTo(this.#owner, owner);
    try {
      const created = await this.#context.client.create(resources.pods, pod);
      this.#pods.assume(created);
      this.#recorder.event(about, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
      return created;
    } catch (error) {
      this.#recorder.event(about, "Warning", "FailedCreate", `Error creating: ${errorMessage(error)}`);
      throw error;
    }
  }

  /** Deletes pods; those already gone are fine. Throws the first failure. */
  async deleteMany(owner: KubeObject, pods: readonly Pod[]): Promise<void> {
    await settleAll(pods.map((pod) => this.delete(owner, pod)));
  }

  /** Deletes one pod. */
  async delete(owner: KubeObject, pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const about = referenceTo(this.#owner, owner);
    try {
      const going = await this.#context.client.delete(resources.pods, name, namespace, { preconditions: { uid } });
      if (going) this.#pods.assume(going);
      this.#recorder.event(about, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
    } catch (error) {
      if (isNotFound(error)) return;
      this.#recorder.event(about, "Warning", "FailedDelete", `Error deleting: ${errorMessage(error)}`);
      throw error;
    }
  }

  /** Makes the owner the pod's manager. */
  async adopt(owner: KubeObject, pod: Pod): Promise<void> {
    const ownerReferences = [...(pod.metadata.ownerReferences ?? []), controllerReference(this.#owner, owner)];
    await this.#patchOwners(pod, ownerReferences);
  }

  /** Ends the owner's management of a pod. */
  async release(owner: KubeObject, pod: Pod): Promise<void> {
    const ownerReferences = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
    await this.#patchOwners(pod, ownerReferences);
  }

  async #patchOwners(pod: Pod, ownerReferences: unknown): Promise<void> {
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    // uid and version make it fail when the pod is another one by now.
    const patch = { metadata: { uid, resourceVersion, ownerReferences } };
    try {
      this.#pods.assume(await this.#context.client.patch(resources.pods, name, namespace, patch, { type: "merge" }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Waits for all, then throws the first failure. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}
