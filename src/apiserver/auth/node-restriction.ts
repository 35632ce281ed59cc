import { equalJson } from "#base/json.ts";
import { notFound } from "../errors.ts";
import type { OwnerReference, StoredObject } from "../object.ts";
import type { Store } from "../store/index.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "./admission.ts";
import { nodeOf } from "./node-authorizer.ts";
import { mirrorAnnotation, namesIn } from "./node-graph.ts";

/** Labels under kubernetes.io and k8s.io that a node may set on itself (k8s.io/kubelet/pkg/apis/well_known_labels.go). */
const kubeletLabels = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/arch",
  "kubernetes.io/os",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
]);
const kubeletLabelNamespaces = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/**
 * The admission plugin NodeRestriction: what a node's agent writes has to be about its own node, lease and pods
 * (kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction).
 */
export function nodeRestriction(store: Store): AdmissionCheck {
  return (write) => {
    const node = nodeOf(write.user);
    if (node === undefined) return;
    if (node === "") throw refuseWrite(write, `could not determine node from user "${write.user.name}"`);
    const { kind, subresource } = write;
    switch (kind.storage) {
      case "pods":
        if (subresource === "") return onPod(store, node, write);
        if (subresource === "status") return onPodStatus(node, write);
        if (subresource === "eviction") return onEviction(node, write);
        throw refuseWrite(
          write,
          `unexpected pod subresource "${subresource}", only 'status' and 'eviction' are allowed`,
        );
      case "nodes":
        return onNode(node, write);
      case "persistentvolumeclaims":
        if (subresource !== "status") throw refuseWrite(write, "may only update PVC status");
        return;
      case "leases.coordination.k8s.io":
        if (write.namespace !== "kube-node-lease")
          throw refuseWrite(write, 'can only access leases in the "kube-node-lease" system namespace');
        if (write.name !== node)
          throw refuseWrite(write, "can only access node lease with the same name as the requesting node");
        return;
      case "csinodes.storage.k8s.io":
        if (write.name !== node)
          throw refuseWrite(write, "can only access CSINode with the same name as the requesting node");
    }
  };
}

const nodeNameOf = (pod: StoredObject | undefined): string | undefined =>
  (pod?.spec as { nodeName?: string } | undefined)?.nodeName;

function onPod(store: Store, node: string, write: Admitted): void {
  if (write.operation === "CREATE") return onMirrorPod(store, node, write);
  if (write.operation === "UPDATE")
    throw refuseWrite(write, `unexpected operation "UPDATE", node "${node}" can only create and delete mirror pods`);
  if (nodeNameOf(write.old) !== node)
    throw refuseWrite(write, `node "${node}" can only delete pods with spec.nodeName set to itself`);
}

function onMirrorPod(store: Store, node: string, write: Admitted): void {
  const pod = write.object as StoredObject;
  if (pod.metadata.annotations?.[mirrorAnnotation] === undefined)
    throw refuseWrite(
      write,
      `pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`,
    );
  if (nodeNameOf(pod) !== node)
    throw refuseWrite(write, `node "${node}" can only create pods with spec.nodeName set to itself`);
  onOwner(store, node, write, pod.metadata.ownerReferences ?? []);
  if ((pod.spec as { serviceAccountName?: string }).serviceAccountName)
    throw refuseWrite(write, `node "${node}" can not create pods that reference a service account`);
  for (const kind of ["secrets", "configmaps", "persistentvolumeclaims"] as const)
    if (namesIn(pod, kind).length > 0)
      throw refuseWrite(write, `node "${node}" can not create pods that reference ${kind}`);
}

/** A mirror pod belongs to its node and to nothing else. */
function onOwner(store: Store, node: string, write: Admitted, owners: readonly OwnerReference[]): void {
  const [owner, ...others] = owners;
  if (others.length > 0)
    throw refuseWrite(write, `node "${node}" can only create pods with a single owner reference set to itself`);
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node)
    throw refuseWrite(write, `node "${node}" can only create pods with an owner reference set to itself`);
  if (!owner.controller)
    throw refuseWrite(write, `node "${node}" can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion)
    throw refuseWrite(write, `node "${node}" must not set blockOwnerDeletion on an owner reference`);
  const found = store.get("nodes", node)?.object;
  if (!found) throw notFound({ group: "", plural: "nodes" }, node);
  if (owner.uid !== found.metadata.uid)
    throw refuseWrite(write, `node ${node} UID mismatch: expected ${owner.uid} got ${found.metadata.uid}`);
}

function onPodStatus(node: string, write: Admitted): void {
  const { operation, old, object } = write;
  if (operation !== "UPDATE") throw refuseWrite(write, `unexpected operation "${operation}"`);
  if (nodeNameOf(old) !== node)
    throw refuseWrite(write, `node "${node}" can only update pod status for pods with spec.nodeName set to itself`);
  if (!equalJson(old?.metadata.labels ?? {}, object?.metadata.labels ?? {}))
    throw refuseWrite(write, `node "${node}" cannot update labels through pod status`);
}

function onEviction(node: string, write: Admitted): void {
  if (nodeNameOf(write.old) !== node)
    throw refuseWrite(write, `node ${node} can only evict pods with spec.nodeName set to itself`);
}

function onNode(node: string, write: Admitted): void {
  const { operation, name, object, old } = write;
  if (name !== node) throw refuseWrite(write, `node "${node}" is not allowed to modify node "${name}"`);
  if (operation === "DELETE") return;
  const changed = changedLabels(object?.metadata.labels ?? {}, old?.metadata.labels ?? {}).filter(forbiddenLabel);
  if (operation === "CREATE") {
    if (changed.length > 0)
      throw refuseWrite(write, `node "${node}" is not allowed to set the following labels: ${changed.join(", ")}`);
    return;
  }
  const taints = (of: StoredObject | undefined) => (of?.spec as { taints?: unknown[] } | undefined)?.taints ?? [];
  if (!equalJson(taints(object), taints(old)))
    throw refuseWrite(write, `node "${node}" is not allowed to modify taints`);
  if (changed.length > 0) throw refuseWrite(write, `is not allowed to modify labels: ${changed.join(", ")}`);
}

type Labels = Readonly<Record<string, string>>;

function changedLabels(now: Labels, before: Labels): string[] {
  const keys = new Set([...Object.keys(now), ...Object.keys(before)]);
  return [...keys].filter((key) => now[key] !== before[key]).sort();
}

function forbiddenLabel(key: string): boolean {
  const namespace = key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
  const within = (name: string) => namespace === name || namespace.endsWith(`.${name}`);
  if (within("node-restriction.kubernetes.io")) return true;
  if (!within("kubernetes.io") && !within("k8s.io")) return false;
  return !kubeletLabels.has(key) && !kubeletLabelNamespaces.some(within);
}
