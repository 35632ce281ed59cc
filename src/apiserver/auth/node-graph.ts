import type { Dict, StoredObject } from "../object.ts";
import { type Entry, Follower, type Store } from "../store/index.ts";

/** Marks a pod that only shows what a node runs by itself. */
export const mirrorAnnotation = "kubernetes.io/config.mirror";

/**
 * Which nodes have to do with which objects, by the pods bound to them: a pod's node may read the pod's secrets,
 * configmaps, claims and volumes, and get tokens for its account (plugin/pkg/auth/authorizer/node/graph.go). It follows
 * the stored pods, so a decision costs a look into a map.
 */
export class NodeGraph {
  readonly #store: Store;
  /** `plural namespace/name` to nodes, each with the number of its pods that name it. */
  readonly #users = new Map<string, Map<string, number>>();
  readonly #follower: Follower;

  constructor(store: Store) {
    this.#store = store;
    this.#follower = new Follower(store, "pods", {
      clear: () => this.#users.clear(),
      take: (pod) => this.#count(pod, 1),
      giveBack: (pod) => this.#count(pod, -1),
    });
  }

  /** Whether an object (`secrets`, `configmaps`, `persistentvolumeclaims`, `serviceaccounts`, `pods`) is a node's concern. */
  related(node: string, plural: string, namespace: string, name: string): boolean {
    this.#follower.refresh();
    const key = `${namespace}/${name}`;
    if (this.#users.get(`${plural} ${key}`)?.has(node)) return true;
    return plural === "secrets" && this.#isVolumeSecret(node, key);
  }

  /** Whether a persistent volume is behind a claim of one of the node's pods. */
  relatedVolume(node: string, name: string): boolean {
    this.#follower.refresh();
    const volume = this.#store.get("persistentvolumes", name)?.object;
    return volume !== undefined && this.#claimed(node, volume);
  }

  #claimed(node: string, volume: StoredObject): boolean {
    const { claimRef } = (volume.spec ?? {}) as { claimRef?: { namespace?: string; name?: string } };
    const key = `persistentvolumeclaims ${claimRef?.namespace}/${claimRef?.name}`;
    return claimRef !== undefined && (this.#users.get(key)?.has(node) ?? false);
  }

  /** A volume's driver may need a secret too. Volumes are few; this is asked only when nothing nearer was found. */
  #isVolumeSecret(node: string, key: string): boolean {
    return this.#store.list("persistentvolumes").some(({ object }) => {
      const csi = ((object.spec ?? {}) as { csi?: Dict }).csi ?? {};
      const named = Object.entries(csi).some(([field, value]) => {
        const { namespace, name } = (value ?? {}) as { namespace?: string; name?: string };
        return field.endsWith("SecretRef") && `${namespace}/${name}` === key;
      });
      return named && this.#claimed(node, object);
    });
  }

  #count(pod: Entry, step: 1 | -1): void {
    const { nodeName } = (pod.object.spec ?? {}) as { nodeName?: string };
    if (!nodeName) return;
    for (const key of referencesOf(pod.object)) {
      let nodes = this.#users.get(key);
      if (!nodes) this.#users.set(key, (nodes = new Map()));
      const count = (nodes.get(nodeName) ?? 0) + step;
      if (count > 0) nodes.set(nodeName, count);
      else nodes.delete(nodeName);
      if (nodes.size === 0) this.#users.delete(key);
    }
  }
}

interface Named {
  name?: string;
}

/** What a pod names, as `plural namespace/name`, each once. */
function referencesOf(pod: StoredObject): Set<string> {
  const { name, namespace = "" } = pod.metadata;
  const found = new Set([`pods ${namespace}/${name}`]);
  if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return found;
  const spec = (pod.spec ?? {}) as { serviceAccountName?: string };
  if (spec.serviceAccountName) found.add(`serviceaccounts ${namespace}/${spec.serviceAccountName}`);
  for (const kind of ["secrets", "configmaps", "persistentvolumeclaims"] as const)
    for (const object of namesIn(pod, kind)) found.add(`${kind} ${namespace}/${object}`);
  return found;
}

/** Names of the secrets, configmaps or claims that a pod's containers and volumes use. */
export function namesIn(
  pod: StoredObject,
  kind: "secrets" | "configmaps" | "persistentvolumeclaims",
): readonly string[] {
  const spec = (pod.spec ?? {}) as Dict;
  const volumes = (spec.volumes ?? []) as Dict[];
  if (kind === "persistentvolumeclaims") return claimsIn(pod, volumes);
  const names: (string | undefined)[] = [];
  const [ref, keyRef] = kind === "secrets" ? ["secretRef", "secretKeyRef"] : ["configMapRef", "configMapKeyRef"];
  for (const list of ["containers", "initContainers", "ephemeralContainers"])
    for (const container of (spec[list] ?? []) as { env?: Dict[]; envFrom?: Dict[] }[]) {
      for (const from of container.envFrom ?? []) names.push((from[ref as string] as Named | undefined)?.name);
      for (const { valueFrom } of container.env ?? [])
        names.push(((valueFrom as Dict | undefined)?.[keyRef as string] as Named | undefined)?.name);
    }
  const own = kind === "secrets" ? "secret" : "configMap";
  for (const volume of volumes) {
    const direct = volume[own] as { secretName?: string; name?: string } | undefined;
    names.push(direct?.secretName ?? direct?.name);
    const { sources = [] } = (volume.projected ?? {}) as { sources?: Dict[] };
    for (const source of sources) names.push((source[own] as Named | undefined)?.name);
    if (kind === "secrets") names.push(...driverSecrets(volume));
  }
  if (kind === "secrets") for (const { name } of (spec.imagePullSecrets ?? []) as Named[]) names.push(name);
  return names.filter((name): name is string => name !== undefined && name !== "");
}

function claimsIn(pod: StoredObject, volumes: readonly Dict[]): string[] {
  return volumes.flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claim = (persistentVolumeClaim as { claimName?: string } | undefined)?.claimName;
    // An ephemeral volume's claim is made under this name (kubernetes.io/docs/concepts/storage/ephemeral-volumes).
    return [...(claim ? [claim] : []), ...(ephemeral ? [`${pod.metadata.name}-${name}`] : [])];
  });
}

/** Secrets that a volume's driver is given. */
function driverSecrets(volume: Dict): string[] {
  return Object.values(volume).flatMap((source) => {
    const { secretRef, nodePublishSecretRef } = (source ?? {}) as { secretRef?: Named; nodePublishSecretRef?: Named };
    return [secretRef?.name, nodePublishSecretRef?.name].filter((name) => name !== undefined);
  });
}
