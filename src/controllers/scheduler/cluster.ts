import {
  type Change,
  type Index,
  type KubeObject,
  keyOf,
  type LabelSelector,
  type Pod,
  type Resource,
  resource,
  resources,
  type Service,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf, isPodTerminal } from "../objects.ts";
import { type NodeView, type PodView, viewNode, viewPod, withPod } from "./nodes.ts";
import type { Surroundings } from "./plan.ts";
import { siblingSelector } from "./siblings.ts";
import type { Claim, PersistentVolume, Storage } from "./volumes.ts";

/** Storage kinds that the scheduler reads. */
export const storageResources = {
  claims: resource<Claim>("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
  volumes: resource<PersistentVolume>("", "v1", "persistentvolumes", "PersistentVolume", false),
  classes: resource<KubeObject & { readonly volumeBindingMode?: string }>(
    "storage.k8s.io",
    "v1",
    "storageclasses",
    "StorageClass",
    false,
  ),
} as const;

type Selecting = KubeObject & { readonly spec: { readonly selector: LabelSelector } };
const owners: Readonly<Record<string, Resource<Selecting>>> = {
  ReplicaSet: resource("apps", "v1", "replicasets", "ReplicaSet"),
  StatefulSet: resource("apps", "v1", "statefulsets", "StatefulSet"),
};

/** A change that the scheduler's own condition, or a kubelet, made. */
export function onlyStatusChanged({ object, old }: Change<Pod>): boolean {
  return old !== undefined && isSameToScheduler(object, old);
}

function isSameToScheduler(a: Pod, b: Pod): boolean {
  const { labels, deletionTimestamp } = a.metadata;
  return (
    equalJson(a.spec, b.spec) &&
    equalJson(labels, b.metadata.labels) &&
    deletionTimestamp === b.metadata.deletionTimestamp
  );
}

/**
 * What the scheduler knows of the cluster: informers' caches with its own decisions on top.
 *
 * A node's view is made of all its pods. It is kept up to date by what was decided and stays while only statuses
 * change: made anew for each decision it costs a thousand pods a million looks at a pod.
 */
export class ClusterView {
  readonly #context: Pick<ControllerContext, "informer">;
  readonly #podsOn: Index<Pod>;
  readonly #servicesIn: Index<Service>;
  readonly #has: (plural: string) => boolean;
  readonly #viewed = new Map<string, NodeView>();
  readonly #podViews = new WeakMap<Pod, PodView>();
  /** Decisions that the caches do not show yet, by node: pods as they will be. */
  readonly #assumed = new Map<string, Map<string, Pod>>();
  readonly #nodeOf = new Map<string, string>();

  constructor(context: Pick<ControllerContext, "informer">, has: (plural: string) => boolean) {
    this.#context = context;
    this.#has = has;
    this.#podsOn = context.informer(resources.pods).index(({ spec }) => [spec.nodeName ?? ""]);
    this.#servicesIn = context.informer(resources.services).index(({ metadata }) => [metadata.namespace ?? ""]);
    for (const { plural, ...rest } of Object.values(owners)) if (has(plural)) context.informer({ plural, ...rest });
  }

  /** Counts a pod as being on a node until the cache says so. */
  assume(key: string, pod: Pod, node: string): void {
    const placed = { ...pod, spec: { ...pod.spec, nodeName: node } };
    const on = this.#assumed.get(node) ?? new Map<string, Pod>();
    this.#assumed.set(node, on.set(key, placed));
    this.#nodeOf.set(key, node);
    const view = this.#viewed.get(node);
    if (view) this.#viewed.set(node, withPod(view, this.pod(placed)));
  }

  /** A pod on a node has changed in the cache. */
  see(change: Change<Pod>): void {
    const { type, object, old } = change;
    const { nodeName = "" } = object.spec;
    if (type !== "DELETED" && !isPodTerminal(object)) {
      if (this.#confirm(keyOf(object), object)) return;
      if (old?.spec.nodeName === nodeName && !isPodTerminal(old) && onlyStatusChanged(change)) return;
    }
    this.#stale(nodeName);
  }

  /** Whether a decision on the pod is under way. */
  isAssumed(key: string): boolean {
    return this.#nodeOf.has(key);
  }

  /** The cache knows the pod's node, or the decision came to nothing. */
  forget(key: string): void {
    const node = this.#nodeOf.get(key);
    if (node === undefined) return;
    this.#nodeOf.delete(key);
    const on = this.#assumed.get(node);
    on?.delete(key);
    if (on?.size === 0) this.#assumed.delete(node);
    this.#stale(node);
  }

  /** The cache shows a decision as it was made: the node's view has the pod already. */
  #confirm(key: string, pod: Pod): boolean {
    const on = this.#assumed.get(pod.spec.nodeName ?? "");
    const assumed = on?.get(key);
    if (!on || !assumed || assumed.metadata.uid !== pod.metadata.uid || !isSameToScheduler(assumed, pod)) return false;
    on.delete(key);
    this.#nodeOf.delete(key);
    return true;
  }

  /** What is on a node has changed: its view is made anew when it is next needed. */
  #stale(node: string): void {
    this.#viewed.delete(node);
  }

  /** All nodes with their pods. */
  nodes(): NodeView[] {
    const nodes = this.#context.informer(resources.nodes).list();
    return nodes.map((node) => {
      const { name } = node.metadata;
      const present = this.#viewed.get(name);
      if (present?.node === node) return present;
      const pods = new Map([...(this.#assumed.get(name) ?? []), ...this.#podsOn.get(name).map(keyed)]);
      const view = viewNode(node, [...pods.values()], (pod) => this.pod(pod));
      this.#viewed.set(name, view);
      return view;
    });
  }

  /** A pod's view, computed once for each state of it. */
  pod(pod: Pod): PodView {
    let view = this.#podViews.get(pod);
    if (!view) {
      view = viewPod(pod);
      this.#podViews.set(pod, view);
    }
    return view;
  }

  /** What else concerns a pod. */
  around(pod: Pod): Surroundings {
    const namespaces = this.#context.informer(resources.namespaces);
    return {
      namespaceLabels: (name) => namespaces.get(name)?.metadata.labels ?? {},
      siblings: siblingSelector(pod, this.#servicesIn.get(pod.metadata.namespace ?? ""), this.#ownerSelector(pod)),
      storage: this.#storage(),
    };
  }

  #ownerSelector(pod: Pod): LabelSelector | undefined {
    const owner = controllerOf(pod);
    const of = owner && owners[owner.kind];
    if (!of || !this.#has(of.plural)) return undefined;
    return this.#context.informer(of).get(`${pod.metadata.namespace}/${owner.name}`)?.spec.selector;
  }

  #storage(): Storage {
    const { claims, volumes, classes } = storageResources;
    const informed = <T extends KubeObject>(of: Resource<T>, key: string) =>
      this.#has(of.plural) ? this.#context.informer(of).get(key) : undefined;
    return {
      claim: (namespace, name) => informed(claims, `${namespace}/${name}`),
      volume: (name) => informed(volumes, name),
      bindsLate: (name) => name !== undefined && informed(classes, name)?.volumeBindingMode === "WaitForFirstConsumer",
    };
  }
}

function keyed(pod: Pod): [string, Pod] {
  return [keyOf(pod), pod];
}
