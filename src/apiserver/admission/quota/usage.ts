import type { V1PersistentVolumeClaim, V1Pod, V1PodSpec, V1Service } from "@kubernetes/client-node";
import { parseQuantity, type Quantity } from "#base/quantity.ts";
import type { StoredObject } from "../../object.ts";
import { type Amounts, addAmounts, amountsOf, podAmounts } from "../amounts.ts";

/**
 * What one object uses of what quotas count.
 * Source: kubernetes.io/docs/concepts/policy/resource-quotas, k8s.io/kubernetes/pkg/quota/v1/evaluator/core.
 */

const one: Quantity = { unscaled: 1n, scale: 0, format: "DecimalSI" };

/** Kinds that quotas count by their plural alone, too. */
const plain = new Set([
  "configmaps",
  "persistentvolumeclaims",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
  "services",
]);

const classInfix = ".storageclass.storage.k8s.io/";

/** What an object counts for. @param storage `plural.group`, or the plural in the core group */
export function usageOf(storage: string, object: StoredObject): Amounts {
  const counted = { [`count/${storage}`]: one, ...(plain.has(storage) ? { [storage]: one } : {}) };
  switch (storage) {
    case "pods":
      return { ...counted, ...podUsage(object as unknown as V1Pod) };
    case "services":
      return { ...counted, ...serviceUsage(object as unknown as V1Service) };
    case "persistentvolumeclaims":
      return { ...counted, ...claimUsage(object as unknown as V1PersistentVolumeClaim) };
    default:
      return counted;
  }
}

/** The kind whose objects count for a quota's resource. */
export function countedKind(resource: string): string {
  if (resource.startsWith("count/")) return resource.slice("count/".length);
  if (plain.has(resource)) return resource;
  if (resource.startsWith("services.")) return "services";
  return resource === "requests.storage" || resource.includes(classInfix) ? "persistentvolumeclaims" : "pods";
}

function podUsage({ spec, status, metadata }: V1Pod): Amounts {
  if (status?.phase === "Succeeded" || status?.phase === "Failed" || isOverdue(metadata)) return {};
  const [requests, limits] = [podAmounts(spec as V1PodSpec, "requests"), podAmounts(spec as V1PodSpec, "limits")];
  const asked = addAmounts(requests, amountsOf(spec?.overhead));
  const bounded = addAmounts(limits, amountsOf(limitedOverhead(spec?.overhead, limits)));
  const usage: Record<string, Quantity> = { pods: one };
  for (const [name, amount] of Object.entries(asked)) {
    if (["cpu", "memory", "ephemeral-storage"].includes(name) || name.startsWith("hugepages-")) usage[name] = amount;
    usage[`requests.${name}`] = amount;
  }
  for (const [name, amount] of Object.entries(bounded)) usage[`limits.${name}`] = amount;
  return usage;
}

/** Overhead counts towards a limit only where there is one. */
function limitedOverhead(overhead: Record<string, string> | undefined, limits: Amounts): Record<string, string> {
  return Object.fromEntries(Object.entries(overhead ?? {}).filter(([name]) => limits[name]));
}

/** Whether a pod should have been gone by now: its node does not answer, and it shall not block others. */
function isOverdue(metadata: V1Pod["metadata"]): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata as unknown as StoredObject["metadata"];
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined) return false;
  return Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000 < Date.now();
}

function serviceUsage({ spec }: V1Service): Amounts {
  const ports: Quantity = { ...one, unscaled: BigInt(spec?.ports?.length ?? 0) };
  if (spec?.type === "NodePort") return { "services.nodeports": ports };
  if (spec?.type !== "LoadBalancer") return {};
  const numbered = (spec.ports ?? []).filter(({ nodePort }) => nodePort).length;
  const nodePorts = spec.allocateLoadBalancerNodePorts === false ? { ...one, unscaled: BigInt(numbered) } : ports;
  return { "services.loadbalancers": one, "services.nodeports": nodePorts };
}

function claimUsage({ spec }: V1PersistentVolumeClaim): Amounts {
  const size = parseQuantity(spec?.resources?.requests?.storage ?? "0");
  const { storageClassName } = spec ?? {};
  if (!storageClassName) return { "requests.storage": size };
  const prefix = `${storageClassName}${classInfix}`;
  return { "requests.storage": size, [`${prefix}requests.storage`]: size, [`${prefix}persistentvolumeclaims`]: one };
}
