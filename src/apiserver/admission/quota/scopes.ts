import type { V1PersistentVolumeClaim, V1Pod, V1ResourceQuotaSpec } from "@kubernetes/client-node";
import type { StoredObject } from "../../object.ts";

interface Requirement {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Whether a quota with these scopes is about an object; only pods and claims can be chosen by scopes. */
export function inScope(spec: V1ResourceQuotaSpec, storage: string, object: StoredObject): boolean {
  const requirements: Requirement[] = [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
  if (storage === "pods") return requirements.every((r) => ofPod(r, object as unknown as V1Pod));
  if (storage === "persistentvolumeclaims")
    return requirements.every((r) => ofClaim(r, object as unknown as V1PersistentVolumeClaim));
  return requirements.length === 0;
}

function ofPod(requirement: Requirement, { spec, status }: V1Pod): boolean {
  switch (requirement.scopeName) {
    case "Terminating":
      return (spec?.activeDeadlineSeconds ?? -1) >= 0;
    case "NotTerminating":
      return (spec?.activeDeadlineSeconds ?? -1) < 0;
    case "BestEffort":
      return status?.qosClass === "BestEffort";
    case "NotBestEffort":
      return status?.qosClass !== "BestEffort";
    case "PriorityClass":
      return chooses(requirement, spec?.priorityClassName ?? "");
    case "CrossNamespacePodAffinity":
      return crossesNamespaces(spec);
    default:
      return false;
  }
}

function ofClaim(requirement: Requirement, { spec, status }: V1PersistentVolumeClaim): boolean {
  if (requirement.scopeName !== "VolumeAttributesClass") return false;
  const names = [spec?.volumeAttributesClassName, status?.currentVolumeAttributesClassName].filter(Boolean) as string[];
  return (names.length > 0 ? names : [""]).some((name) => chooses(requirement, name));
}

function chooses({ operator, values = [] }: Requirement, name: string): boolean {
  switch (operator) {
    case "Exists":
      return name !== "";
    case "DoesNotExist":
      return name === "";
    case "In":
      return values.includes(name);
    default:
      return !values.includes(name);
  }
}

/** Whether a pod's affinity looks at pods of other namespaces. */
function crossesNamespaces(spec: V1Pod["spec"]): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].some((affinity) => {
    const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const terms = [...required, ...preferred.map(({ podAffinityTerm }) => podAffinityTerm)];
    return terms.some(({ namespaces, namespaceSelector }) => (namespaces ?? []).length > 0 || namespaceSelector);
  });
}
