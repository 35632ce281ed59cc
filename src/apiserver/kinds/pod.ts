import type { V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { type FieldErrors, invalid, StatusError } from "../errors.ts";
import { cloneJson } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { admitPod } from "./pod-admission.ts";
import { defaultPodRequests, defaultPodSpec } from "./pod-defaults.ts";
import { podRow } from "./pod-print.ts";
import { podWarnings, validatePodSpec, warnOfHostname } from "./podspec/index.ts";

type Pod = Stored<V1Pod>;

/** core/v1 Pod. */
export const pod = defineKind<Pod>({
  group: "",
  kind: "Pod",
  plural: "pods",
  type: "core.v1.Pod",
  shortNames: ["po"],
  categories: ["all"],
  status: true,
  subresources: {
    attach: { kind: "PodAttachOptions", verbs: ["create", "get"] },
    binding: { kind: "Binding", verbs: ["create"] },
    ephemeralcontainers: { kind: "Pod", verbs: ["get", "patch", "update"] },
    eviction: { kind: "Eviction", group: "policy", version: "v1", verbs: ["create"] },
    exec: { kind: "PodExecOptions", verbs: ["create", "get"] },
    log: { kind: "Pod", verbs: ["get"] },
    portforward: { kind: "PodPortForwardOptions", verbs: ["create", "get"] },
    proxy: { kind: "PodProxyOptions", verbs: ["create", "delete", "get", "patch", "update"] },
    resize: { kind: "Pod", verbs: ["get", "patch", "update"] },
  },
  columns: columns("Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"),
  row: podRow,
  selectableFields: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  selectable: ({ spec, status }) => ({
    "spec.nodeName": spec?.nodeName ?? "",
    "spec.restartPolicy": spec?.restartPolicy ?? "",
    "spec.schedulerName": spec?.schedulerName ?? "",
    "spec.serviceAccountName": spec?.serviceAccountName ?? "",
    "spec.hostNetwork": String(spec?.hostNetwork ?? false),
    "status.phase": status?.phase ?? "",
    "status.podIP": status?.podIP ?? "",
    "status.nominatedNodeName": status?.nominatedNodeName ?? "",
  }),
  deletion: {
    gracePeriod({ spec, status }, asked) {
      if (!spec?.nodeName || status?.phase === "Succeeded" || status?.phase === "Failed") return 0;
      const seconds = asked ?? spec.terminationGracePeriodSeconds ?? 30;
      return seconds < 0 ? 1 : seconds;
    },
  },
  defaults(object) {
    object.spec ??= { containers: [] };
    defaultPodSpec(object.spec);
    defaultPodRequests(object.spec);
    object.spec.enableServiceLinks ??= true;
  },
  prepareCreate(object, context) {
    const spec = object.spec as V1PodSpec;
    if (spec.ephemeralContainers?.length)
      throw createForbids(object, "spec.ephemeralContainers", "cannot be set on create");
    admitPod(object, spec, context);
    object.status = { phase: "Pending", qosClass: qosClass(spec) };
  },
  prepareUpdate(object, old) {
    // A pod's status is the kubelet's; a status written before carries on.
    if (object.status && !object.status.qosClass && old.status?.qosClass) object.status.qosClass = old.status.qosClass;
  },
  prepareStatus(object) {
    // Go shows a time that is not set.
    const conditions: { lastProbeTime?: unknown }[] = object.status?.conditions ?? [];
    for (const condition of conditions) condition.lastProbeTime ??= null;
  },
  warnings: ({ metadata, spec }, old) =>
    old || !spec
      ? []
      : [...warnOfHostname(metadata.name, "this is used in the Pod's hostname"), ...podWarnings({ metadata, spec })],
  validate(object, errors) {
    validatePodSpec(object.spec, "spec", errors, object.metadata.name);
  },
  validateUpdate: validatePodUpdate,
});

/** Guaranteed, Burstable or BestEffort by the resources of the pod, and those of the containers where it has none. */
export function qosClass(spec: V1PodSpec): string {
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  const resources = spec.resources ? [spec.resources] : containers.map((c) => c.resources ?? {});
  const counted = (r: Record<string, string> | undefined) =>
    Object.keys(r ?? {}).filter((k) => k === "cpu" || k === "memory");
  if (resources.every((r) => counted(r.requests).length + counted(r.limits).length === 0)) return "BestEffort";
  const guaranteed = resources.every(
    (r) =>
      counted(r.limits).length === 2 &&
      counted(r.limits).every((k) => r.requests?.[k] === undefined || r.requests[k] === r.limits?.[k]),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** 422 for a field that only a subresource sets. */
function createForbids(object: Pod, field: string, why: string): StatusError {
  return invalid("Pod", "", object.metadata.name, [
    { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field },
  ]);
}

const mutable =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

function validatePodUpdate(object: Pod, old: Pod, errors: FieldErrors): void {
  const [now, before] = [object.spec as V1PodSpec, old.spec as V1PodSpec];
  if (now.containers.length !== before.containers.length) {
    errors.forbidden("spec.containers", "pod updates may not add or remove containers");
    return;
  }
  if ((now.initContainers?.length ?? 0) !== (before.initContainers?.length ?? 0)) {
    errors.forbidden("spec.initContainers", "pod updates may not add or remove containers");
    return;
  }
  validateDeadline(now.activeDeadlineSeconds, before.activeDeadlineSeconds, errors);
  for (const { name } of now.schedulingGates ?? []) {
    if (!before.schedulingGates?.some((gate) => gate.name === name))
      errors.forbidden("spec.schedulingGates", `only deletion is allowed, but found new scheduling gate '${name}'`);
  }
  // Compared with what may change taken over from the old pod.
  const masked = cloneJson(now);
  masked.containers.forEach((c, i) => {
    const image = before.containers[i]?.image;
    if (image) c.image = image;
  });
  masked.initContainers?.forEach((c, i) => {
    const image = before.initContainers?.[i]?.image;
    if (image) c.image = image;
  });
  const carried = ["activeDeadlineSeconds", "tolerations", "ephemeralContainers", "schedulingGates"] as const;
  const added = (before.tolerations ?? []).every((t) =>
    now.tolerations?.some((n) => equalJson({ ...n, tolerationSeconds: 0 }, { ...t, tolerationSeconds: 0 })),
  );
  if (!added)
    errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && masked.terminationGracePeriodSeconds === 1)
    masked.terminationGracePeriodSeconds = before.terminationGracePeriodSeconds as number;
  // The scheduler's binding is the one way to set a node.
  const expected = { ...before } as Record<string, unknown>;
  const actual = { ...masked } as Record<string, unknown>;
  for (const field of carried) {
    delete expected[field];
    delete actual[field];
  }
  if (!equalJson(actual, expected)) errors.forbidden("spec", mutable);
}

/** A pod's time may be cut short, never lengthened. */
function validateDeadline(now: number | undefined, before: number | undefined, errors: FieldErrors): void {
  if (before === undefined || now === before) return;
  const path = "spec.activeDeadlineSeconds";
  if (now === undefined) errors.invalid(path, now, "must not update from a positive integer to nil value");
  else if (now > before) errors.invalid(path, now, "must be less than or equal to previous value");
}

/** 409 for a pod that cannot be bound (any more). */
export function bindingConflict(name: string, why: string): StatusError {
  return new StatusError(409, "Conflict", `Operation cannot be fulfilled on pods/binding "${name}": ${why}`, {
    name,
    kind: "pods/binding",
  });
}
