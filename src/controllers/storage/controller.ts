import {
  isConflict,
  isNotFound,
  type KubeObject,
  keyOf,
  type Pod,
  type Resource,
  resource,
  resources,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { claimsKept, classesKept, type HasAttributesClass, planProtection } from "./plan.ts";

const claimResource = resource<HasAttributesClass>("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim");
const volumeResource = resource<HasAttributesClass>("", "v1", "persistentvolumes", "PersistentVolume", false);
const classResource = resource("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", false);

/**
 * Keeps claims, volumes and classes of attributes that are deleted until nobody uses them any more: the finalizers that
 * the API server gives them are taken away here (upstream's pvc-, pv- and vac-protection controllers).
 */
export function storageProtectionControllers(context: ControllerContext): void {
  const pods = context.informer(resources.pods);
  const claims = context.informer(claimResource);
  const volumes = context.informer(volumeResource);
  const podsOf = pods.index(claimsKept);
  const claimsOf = claims.index(classesKept);
  const volumesOf = volumes.index(classesKept);

  const claimQueue = protect(context, claimResource, {
    name: "pvc-protection",
    needs: [pods],
    // The cache may not know yet of a pod that has just got its node.
    used: async (claim) => podsOf.get(keyOf(claim)).length > 0 || (await isMounted(context, claim)),
  });
  const release = (pod: Pod | undefined) => {
    for (const key of pod ? claimsKept(pod) : []) claimQueue.add(key);
  };
  pods.onChange(({ type, object, old }) => {
    if (type === "DELETED") release(object);
    else if (old && old.metadata.uid !== object.metadata.uid) release(old);
  });

  protect(context, volumeResource, {
    name: "pv-protection",
    needs: [],
    used: ({ status }) => status?.phase === "Bound",
  });

  const classQueue = protect(context, classResource, {
    name: "vac-protection",
    needs: [claims, volumes],
    used: ({ metadata: { name } }) => claimsOf.get(name).length + volumesOf.get(name).length > 0,
  });
  for (const users of [claims, volumes])
    users.onChange(({ type, object, old }) => {
      const freed = old ?? (type === "DELETED" ? object : undefined);
      for (const name of freed ? classesKept(freed) : []) classQueue.add(name);
    });
}

interface Protection<T> {
  readonly name: string;
  readonly needs: readonly { readonly synced: Promise<void> }[];
  used(object: T): boolean | Promise<boolean>;
}

function protect<T extends KubeObject>(context: ControllerContext, of: Resource<T>, protection: Protection<T>) {
  const { name, needs, used } = protection;
  const finalizer = `kubernetes.io/${name}`;
  const objects = context.informer(of);
  const queue = context.control({
    name,
    needs: [objects, ...needs],
    handle: async (key) => {
      const object = objects.get(key);
      if (!object) return;
      const going = object.metadata.deletionTimestamp !== undefined;
      const inUse = going && (await used(object));
      const step = planProtection(object, finalizer, () => inUse);
      if (!step) return;
      const { name, namespace, uid, resourceVersion, finalizers = [] } = object.metadata;
      const next = step === "add" ? [...finalizers, finalizer] : finalizers.filter((one) => one !== finalizer);
      const patch = { metadata: { uid, resourceVersion, finalizers: next } };
      try {
        const written = await context.client.patch(of, name, namespace, patch, { type: "merge" });
        // Without its last finalizer the object is gone.
        if (step === "add") objects.assume(written);
      } catch (error) {
        // The newer version comes here by itself.
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    },
  });
  objects.onChange(({ type, object }) => {
    if (type !== "DELETED" && planProtection(object, finalizer, () => false)) queue.add(keyOf(object));
  });
  return queue;
}

async function isMounted({ client }: ControllerContext, claim: KubeObject): Promise<boolean> {
  const { items } = await client.list<Pod>(resources.pods, { namespace: claim.metadata.namespace ?? "" });
  return items.some((pod) => claimsKept(pod).includes(keyOf(claim)));
}
