import {
  type Informer,
  isConflict,
  isNotFound,
  type KubeObject,
  keyOf,
  type OwnerReference,
  type Resource,
  referenceTo,
  resources,
  type WorkQueue,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { followDefinitions } from "../custom/follow.ts";
import { settleAll } from "../podcontrol.ts";
import {
  foregroundFinalizer,
  invalidOwnerText,
  isDeletingDependents,
  type OwnerState,
  orphanFinalizer,
  planDependent,
  planOwner,
  reachOf,
} from "./plan.ts";

interface Watched {
  readonly resource: Resource<KubeObject>;
  readonly informer: Informer<KubeObject>;
  readonly byUid: { get(uid: string): KubeObject[] };
  readonly byOwner: { get(uid: string): KubeObject[] };
}
type Found = { readonly watched: Watched; readonly object: KubeObject };

/**
 * Deletes objects whose owners are gone, and serves foreground and orphan deletion. Kinds of custom objects join and
 * leave with their definitions.
 * @param served the kinds that the server has itself
 * @param definitions whether it serves definitions of others
 */
export function garbageController(
  context: ControllerContext,
  served: readonly Resource<KubeObject>[],
  definitions = false,
): void {
  const graph = new Graph(
    context,
    served.filter(({ plural }) => plural !== "events"),
  );
  const queue: WorkQueue = context.control({
    name: "garbage",
    needs: [
      ...graph.watched.map(({ informer }) => informer),
      ...(definitions ? [context.informer(resources.customResourceDefinitions)] : []),
    ],
    handle: async (item) => {
      const found = graph.find(item);
      if (!found) return;
      await collectDependent(context, graph, found);
      await serveOwner(context, graph, found, (one) => queue.add(graph.itemOf(one)));
    },
  });
  const follow = (watched: Watched) => {
    watched.informer.onChange(({ type, object, old }) => {
      const { ownerReferences = [], deletionTimestamp, uid = "" } = object.metadata;
      if (type === "DELETED") {
        graph.gone.add(uid);
        for (const found of graph.dependents(uid)) queue.add(graph.itemOf(found));
      } else if (ownerReferences.length > 0 || deletionTimestamp) queue.add(graph.itemOf({ watched, object }));
      // An owner may wait for this one to go or to be let go.
      for (const owner of [...ownerReferences, ...(old?.metadata.ownerReferences ?? [])]) {
        const above = graph.byUid(owner.uid);
        if (above?.object.metadata.deletionTimestamp !== undefined) queue.add(graph.itemOf(above));
      }
    });
  };
  for (const watched of graph.watched) follow(watched);
  if (definitions) followCustom(context, graph, follow, (found) => queue.add(graph.itemOf(found)));
}

/** Watches the kinds of definitions while they are served. */
function followCustom(
  context: ControllerContext,
  graph: Graph,
  follow: (watched: Watched) => void,
  look: (found: Found) => void,
): void {
  followDefinitions(context, (resource) => {
    const { informer, end } = context.passing(resource);
    const watched = watchedOf(resource, informer);
    graph.watched = [...graph.watched, watched];
    follow(watched);
    // Objects whose owner's kind was not known have been left alone so far.
    for (const found of graph.ownedBy(resource)) look(found);
    return () => {
      end();
      graph.watched = graph.watched.filter((one) => one !== watched);
      // All objects of the kind went with the definition, though the watch may not have said so of each.
      for (const { metadata } of informer.list()) {
        graph.gone.add(metadata.uid ?? "");
        for (const found of graph.dependents(metadata.uid ?? "")) look(found);
      }
    };
  });
}

/** Uids of owners that are known to be gone, the newest ones: their kind may be gone too, so that nobody can be asked. */
class GoneOwners {
  readonly #uids = new Set<string>();

  add(uid: string): void {
    this.#uids.add(uid);
    if (this.#uids.size > 10_000) this.#uids.delete(this.#uids.values().next().value as string);
  }

  has(uid: string): boolean {
    return this.#uids.has(uid);
  }
}

function watchedOf(resource: Resource<KubeObject>, informer: Informer<KubeObject>): Watched {
  return {
    resource,
    informer,
    byUid: informer.index(({ metadata }) => [metadata.uid ?? ""]),
    byOwner: informer.index(({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid)),
  };
}

/** All watched objects, by uid and by the uids of their owners. */
class Graph {
  watched: readonly Watched[];
  readonly gone = new GoneOwners();

  constructor(context: ControllerContext, served: readonly Resource<KubeObject>[]) {
    this.watched = served.map((resource) => watchedOf(resource, context.informer(resource)));
  }

  /** Objects that name an owner of a kind. */
  ownedBy({ group, kind }: Resource<KubeObject>): Found[] {
    const names = (owner: OwnerReference) => owner.kind === kind && groupOf(owner) === group;
    return this.watched.flatMap((watched) =>
      watched.informer
        .list()
        .filter(({ metadata }) => metadata.ownerReferences?.some(names))
        .map((object) => ({ watched, object })),
    );
  }

  /** A queue's item: `group/plural|namespace/name`. */
  itemOf({ watched, object }: Found): string {
    return `${watched.resource.group}/${watched.resource.plural}|${keyOf(object)}`;
  }

  find(item: string): Found | undefined {
    const [type, key = ""] = item.split("|");
    const watched = this.watched.find(({ resource }) => `${resource.group}/${resource.plural}` === type);
    const object = watched?.informer.get(key);
    return watched && object ? { watched, object } : undefined;
  }

  byUid(uid: string): Found | undefined {
    for (const watched of this.watched) {
      const object = watched.byUid.get(uid)[0];
      if (object) return { watched, object };
    }
    return undefined;
  }

  dependents(uid: string): Found[] {
    return this.watched.flatMap((watched) => watched.byOwner.get(uid).map((object) => ({ watched, object })));
  }

  resourceOf(owner: OwnerReference): Resource<KubeObject> | undefined {
    const group = groupOf(owner);
    return this.watched.find(({ resource }) => resource.kind === owner.kind && resource.group === group)?.resource;
  }
}

function groupOf({ apiVersion }: OwnerReference): string {
  return apiVersion.includes("/") ? (apiVersion.split("/")[0] as string) : "";
}

async function collectDependent(context: ControllerContext, graph: Graph, { watched, object }: Found): Promise<void> {
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return;
  const states = new Map<string, OwnerState>();
  for (const owner of owners) states.set(owner.uid, await ownerState(context, graph, owner, { watched, object }));
  const dependents = graph.dependents(object.metadata.uid ?? "").map((found) => found.object);
  const plan = planDependent(object, ({ uid }) => states.get(uid) ?? "solid", dependents);
  const { name, namespace, uid, resourceVersion } = object.metadata;
  try {
    if (plan.action === "unlink") {
      const patch = { metadata: { uid, resourceVersion, ownerReferences: plan.ownerReferences } };
      await context.client.patch(watched.resource, name, namespace, patch, { type: "merge" });
    } else if (plan.action === "delete") {
      let version = resourceVersion;
      if (plan.ownerReferences) {
        const patch = { metadata: { uid, resourceVersion, ownerReferences: plan.ownerReferences } };
        const patched = await context.client.patch(watched.resource, name, namespace, patch, { type: "merge" });
        version = patched.metadata.resourceVersion;
      }
      // The version makes sure that no owner was added in between.
      const preconditions = { uid, resourceVersion: version };
      const body = { propagationPolicy: plan.propagationPolicy, preconditions };
      await context.client.delete(watched.resource, name, namespace, body);
    }
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** The cache may be behind, so an owner counts as gone only when the API server says so. */
async function ownerState(
  context: ControllerContext,
  graph: Graph,
  owner: OwnerReference,
  { watched, object: dependent }: Found,
): Promise<OwnerState> {
  const known = graph.byUid(owner.uid);
  const reach = reachOf(dependent, (known?.watched.resource ?? graph.resourceOf(owner))?.namespaced, known?.object);
  if (reach !== "possible") {
    const about = referenceTo(watched.resource, dependent);
    const message = invalidOwnerText(dependent, owner);
    context.recorder("garbage-collector-controller").event(about, "Warning", "OwnerRefInvalidNamespace", message);
    return reach === "absent" ? "absent" : "solid";
  }
  if (known) return stateOf(known.object);
  if (graph.gone.has(owner.uid)) return "absent";
  const of = graph.resourceOf(owner);
  // A kind that nobody serves may be served again: its dependents stay.
  if (!of) return "solid";
  try {
    const namespace = of.namespaced ? dependent.metadata.namespace : undefined;
    const live = await context.client.get(of, owner.name, namespace);
    return live.metadata.uid === owner.uid ? stateOf(live) : "absent";
  } catch (error) {
    if (isNotFound(error)) return "absent";
    throw error;
  }
}

function stateOf({ metadata }: KubeObject): OwnerState {
  return isDeletingDependents({ metadata }) ? "waiting" : "solid";
}

async function serveOwner(
  context: ControllerContext,
  graph: Graph,
  { watched, object }: Found,
  look: (dependent: Found) => void,
): Promise<void> {
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(foregroundFinalizer) && !finalizers.includes(orphanFinalizer)) return;
  const { name, namespace, uid = "", resourceVersion } = object.metadata;
  const dependents = graph.dependents(uid);
  const plan = planOwner(
    object,
    dependents.map((found) => found.object),
  );
  await settleAll(
    dependents.filter((found) => plan.orphan.includes(found.object)).map((found) => orphan(context, found, uid)),
  );
  for (const found of dependents) if (plan.collect.includes(found.object)) look(found);
  if (!plan.finalizers) return;
  try {
    const patch = { metadata: { uid, resourceVersion, finalizers: plan.finalizers } };
    await context.client.patch(watched.resource, name, namespace, patch, { type: "merge" });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function orphan(context: ControllerContext, { watched, object }: Found, ownerUid: string): Promise<void> {
  const { name, namespace, uid, resourceVersion, ownerReferences = [] } = object.metadata;
  const kept = ownerReferences.filter((owner) => owner.uid !== ownerUid);
  const patch = { metadata: { uid, resourceVersion, ownerReferences: kept } };
  try {
    const written = await context.client.patch(watched.resource, name, namespace, patch, { type: "merge" });
    watched.informer.assume(written);
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
