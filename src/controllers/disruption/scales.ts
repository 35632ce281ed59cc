import {
  isNotFound,
  type KubeObject,
  type OwnerReference,
  type Pod,
  type Resource,
  resourcePath,
  resources,
} from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import type { ControllerContext } from "../context.ts";
import { discover } from "../namespaces/discovery.ts";
import { controllerOf } from "../objects.ts";
import type { Scale } from "./plan.ts";

/** Built-in kinds whose pods have no wanted number. */
const unscaled: Readonly<Record<string, string>> = { DaemonSet: "daemonsets.apps", Job: "jobs.batch" };

/** Finds how many pods a pod's controller wants: of built-in kinds in the caches, of others by their /scale. */
export class Scales {
  readonly needs: readonly { readonly synced: Promise<void> }[];
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { deployments, replicaSets, statefulSets, replicationControllers } = resources;
    this.needs = [
      context.informer(deployments),
      context.informer(replicaSets),
      context.informer(statefulSets),
      context.informer(replicationControllers),
    ];
  }

  /** What answers for these pods. The answer throws PodwireError `NoScale` where there is no number. */
  async of(pods: readonly Pod[]): Promise<(pod: Pod) => Scale> {
    const found = new Map<string, Scale | string>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (owner && !found.has(owner.uid)) found.set(owner.uid, await this.#find(owner, pod));
    }
    return (pod) => {
      const scale = found.get(controllerOf(pod)?.uid ?? "");
      if (typeof scale === "object") return scale;
      throw new PodwireError("NoScale", scale ?? notFound(pod));
    };
  }

  /** The scale, or why there is none. */
  async #find(owner: OwnerReference, pod: Pod): Promise<Scale | string> {
    const key = `${pod.metadata.namespace}/${owner.name}`;
    const without = unscaled[owner.kind];
    if (without) return noScale(without);
    switch (`${owner.apiVersion} ${owner.kind}`) {
      case "apps/v1 ReplicaSet":
        return this.#ofReplicaSet(owner, key) ?? notFound(pod);
      case "apps/v1 StatefulSet":
        return replicasOf(this.#context.informer(resources.statefulSets).get(key), owner.uid) ?? notFound(pod);
      case "v1 ReplicationController":
        return (
          replicasOf(this.#context.informer(resources.replicationControllers).get(key), owner.uid) ?? notFound(pod)
        );
      default:
        return await this.#ofOthers(owner, pod);
    }
  }

  /** A Deployment's ReplicaSets want what the Deployment does. */
  #ofReplicaSet({ uid }: OwnerReference, key: string): Scale | undefined {
    const set = this.#context.informer(resources.replicaSets).get(key);
    const above = set && controllerOf(set);
    if (above?.kind !== "Deployment") return replicasOf(set, uid);
    const deployments = this.#context.informer(resources.deployments);
    return replicasOf(deployments.get(`${set?.metadata.namespace}/${above.name}`), above.uid);
  }

  async #ofOthers(owner: OwnerReference, pod: Pod): Promise<Scale | string> {
    const of = await this.#resourceOf(owner);
    if (!of) return notFound(pod);
    const { namespace } = pod.metadata;
    try {
      const path = resourcePath(of, namespace, owner.name, "scale");
      const scale = await this.#context.client.read<KubeObject & { spec?: { replicas?: number } }>(path);
      if (scale.metadata.uid !== owner.uid) return notFound(pod);
      return { uid: owner.uid, replicas: scale.spec?.replicas ?? 0 };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return noScale(`${of.plural}.${of.group}`);
    }
  }

  async #resourceOf({ apiVersion, kind }: OwnerReference): Promise<Resource | undefined> {
    const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
    const { resources: served } = await discover(this.#context.client);
    return served.find((one) => one.kind === kind && one.group === group);
  }
}

function replicasOf(
  object: { readonly metadata: { readonly uid?: string }; readonly spec: { readonly replicas?: number } } | undefined,
  uid: string,
): Scale | undefined {
  return object?.metadata.uid === uid ? { uid, replicas: object.spec.replicas ?? 1 } : undefined;
}

function notFound(pod: Pod): string {
  return `found no controllers for pod "${pod.metadata.name}"`;
}

function noScale(resource: string): string {
  return `${resource} does not implement the scale subresource`;
}
