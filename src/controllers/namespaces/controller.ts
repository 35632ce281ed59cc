import { isNotFound, type KubeObject, type Namespace, type Resource, resourcePath, resources } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { isTerminating } from "./accounts.ts";
import { discover } from "./discovery.ts";
import { isNothing, type Remains, RemainsBuilder, remainConditions } from "./remains.ts";

/** The finalizer in spec.finalizers that this controller takes off. */
const finalizer = "kubernetes";

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
      if (isNothing(remains)) return await finalize(context, namespace);
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

/** Deletes what the namespace holds, pods before anything else that they may need; returns what is still there. */
async function empty(context: ControllerContext, namespace: string): Promise<Remains> {
  const remains = new RemainsBuilder();
  const { resources: all, failures } = await discover(context.client);
  remains.undiscovered.push(...failures);
  const namespaced = all.filter((one) => one.namespaced);
  const isPods = ({ group, plural }: Resource) => group === "" && plural === "pods";
  for (const of of namespaced.filter(isPods)) await emptyInto(remains, context, of, namespace);
  if (remains.isEmpty()) {
    // Events last: deletions make new ones.
    const others = namespaced.filter((one) => !isPods(one));
    others.sort((a, b) => Number(a.plural === "events") - Number(b.plural === "events"));
    for (const of of others) await emptyInto(remains, context, of, namespace);
  }
  return remains;
}

async function emptyInto(
  remains: RemainsBuilder,
  context: ControllerContext,
  of: Resource<KubeObject>,
  namespace: string,
): Promise<void> {
  try {
    remains.add(of, await emptyOne(context, of, namespace));
  } catch (error) {
    if (!isNotFound(error)) remains.failures.push(`${of.plural}: ${errorMessage(error)}`);
  }
}

async function emptyOne(
  context: ControllerContext,
  of: Resource<KubeObject>,
  namespace: string,
): Promise<KubeObject[]> {
  const { client } = context;
  const present = await client.list(of, { namespace });
  if (present.items.length === 0) return [];
  await client.deleteAll(of, namespace, { propagationPolicy: "Background" });
  return (await client.list(of, { namespace })).items;
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
  if (equalJson(conditions, newest.status?.conditions ?? [])) return;
  const object = { ...newest, status: { ...newest.status, conditions } };
  const written = await context.client.update(resources.namespaces, object, { subresource: "status" });
  context.informer(resources.namespaces).assume(written);
}
