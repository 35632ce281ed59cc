import {
  type Condition,
  isConflict,
  isNotFound,
  type KubeObject,
  type Namespace,
  type Resource,
  resourcePath,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, jsonEqual, setCondition } from "../objects.ts";
import { isTerminating } from "./accounts.ts";
import { deletableResources } from "./discovery.ts";

/** The finalizer in spec.finalizers that this controller takes off. */
const finalizer = "kubernetes";

/** What is left in a namespace that is being deleted. */
export interface Remains {
  /** Objects by `plural.group`. */
  readonly counts: Readonly<Record<string, number>>;
  /** How many objects each finalizer holds. */
  readonly finalizers: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

/** Empties namespaces that are being deleted, then lets them go. */
export function namespaceController(context: ControllerContext): void {
  const namespaces = context.informer(resources.namespaces);
  const pods = context.informer(resources.pods);
  /** Attempts so far, for waits that grow: objects with finalizers go when their owners say so. */
  const attempts = new Map<string, number>();
  const queue = context.control({
    name: "namespace",
    needs: [namespaces, pods],
    handle: async (name) => {
      const namespace = namespaces.get(name);
      if (!namespace || !isTerminating(namespace)) return void attempts.delete(name);
      if (!(namespace.spec?.finalizers ?? []).includes(finalizer)) return;
      const remains = await empty(context, name);
      if (Object.keys(remains.counts).length === 0 && remains.failures.length === 0)
        return await finalize(context, namespace);
      await note(context, namespace, remains);
      const attempt = attempts.get(name) ?? 0;
      attempts.set(name, attempt + 1);
      return Math.min(10_000, 20 * 2 ** attempt);
    },
  });
  namespaces.onChange(({ object }) => queue.add(object.metadata.name));
  // The last pod of a namespace is what mostly keeps it.
  pods.onChange(({ type, object }) => {
    const namespace = namespaces.get(object.metadata.namespace ?? "");
    if (type === "DELETED" && namespace && isTerminating(namespace)) queue.add(namespace.metadata.name);
  });
}

/** Deletes what the namespace holds; returns what is still there. */
async function empty(context: ControllerContext, namespace: string): Promise<Remains> {
  const counts: Record<string, number> = {};
  const finalizers: Record<string, number> = {};
  const failures: string[] = [];
  const all = (await deletableResources(context.client)).filter(({ namespaced }) => namespaced);
  // Events last: deletions make new ones.
  all.sort((a, b) => Number(a.plural === "events") - Number(b.plural === "events"));
  for (const of of all) {
    try {
      const left = await emptyOne(context, of, namespace);
      if (left.length > 0) counts[of.group === "" ? of.plural : `${of.plural}.${of.group}`] = left.length;
      for (const held of left.flatMap(({ metadata }) => metadata.finalizers ?? [])) {
        finalizers[held] = (finalizers[held] ?? 0) + 1;
      }
    } catch (error) {
      if (!isNotFound(error)) failures.push(`${of.plural}: ${errorMessage(error)}`);
    }
  }
  return { counts, finalizers, failures };
}

async function emptyOne(
  context: ControllerContext,
  of: Resource<KubeObject>,
  namespace: string,
): Promise<KubeObject[]> {
  const { client } = context;
  const { items } = await client.list(of, { namespace });
  if (items.length === 0) return [];
  const left: KubeObject[] = [];
  for (const { metadata } of items) {
    try {
      const body = { propagationPolicy: "Background", preconditions: { uid: metadata.uid } };
      const going = await client.delete(of, metadata.name, namespace, body);
      if (going) left.push(going);
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
  return left;
}

/** Takes the finalizer off, after which the API server removes the namespace. */
async function finalize(context: ControllerContext, namespace: Namespace): Promise<void> {
  const { name } = namespace.metadata;
  const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== finalizer);
  const body = { apiVersion: "v1", kind: "Namespace", ...namespace, spec: { ...namespace.spec, finalizers } };
  const path = resourcePath(resources.namespaces, undefined, name, "finalize");
  try {
    await context.client.write("PUT", path, body);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Says in the namespace's status what it waits for. */
async function note(context: ControllerContext, namespace: Namespace, remains: Remains): Promise<void> {
  const newest = context.informer(resources.namespaces).get(namespace.metadata.name);
  if (!newest) return;
  const conditions = remainConditions(remains, newest.status?.conditions ?? [], context.now());
  if (jsonEqual(conditions, newest.status?.conditions ?? [])) return;
  const object = { ...newest, status: { ...newest.status, conditions } };
  const written = await context.client.update(resources.namespaces, object, { subresource: "status" });
  context.informer(resources.namespaces).assume(written);
}

/** The conditions of a namespace being deleted; texts are kube-controller-manager's. */
export function remainConditions(remains: Remains, present: readonly Condition[], now: Date): readonly Condition[] {
  const listed = (entries: Readonly<Record<string, number>>, say: (key: string, count: number) => string) =>
    Object.keys(entries)
      .sort()
      .map((key) => say(key, entries[key] ?? 0))
      .join(", ");
  const counts = listed(remains.counts, (key, count) => `${key} has ${count} resource instances`);
  const finalizers = listed(remains.finalizers, (key, count) => `${key} in ${count} resource instances`);
  const failures = remains.failures.join(", ");
  const wanted: Condition[] = [
    failures
      ? {
          type: "NamespaceDeletionContentFailure",
          status: "True",
          reason: "ContentDeletionFailed",
          message: `Failed to delete all resource types, ${remains.failures.length} remaining: ${failures}`,
        }
      : {
          type: "NamespaceDeletionContentFailure",
          status: "False",
          reason: "ContentDeleted",
          message: "All content successfully deleted, may be waiting on finalization",
        },
    counts
      ? {
          type: "NamespaceContentRemaining",
          status: "True",
          reason: "SomeResourcesRemain",
          message: `Some resources are remaining: ${counts}`,
        }
      : {
          type: "NamespaceContentRemaining",
          status: "False",
          reason: "ContentRemoved",
          message: "All content successfully removed",
        },
    finalizers
      ? {
          type: "NamespaceFinalizersRemaining",
          status: "True",
          reason: "SomeFinalizersRemain",
          message: `Some content in the namespace has finalizers remaining: ${finalizers}`,
        }
      : {
          type: "NamespaceFinalizersRemaining",
          status: "False",
          reason: "ContentHasNoFinalizers",
          message: "All content-preserving finalizers finished",
        },
  ];
  let conditions = present;
  for (const condition of wanted) {
    if (condition.status === "True" || conditionOf(present, condition.type)) {
      conditions = setCondition(conditions, condition, now);
    }
  }
  return conditions;
}
