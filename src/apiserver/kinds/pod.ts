import { randomUUID } from "node:crypto";
import type {
  V1Pod,
  V1PodSpec,
  V1PriorityClass,
  V1RuntimeClass,
  V1ServiceAccount,
  V1Volume,
} from "@kubernetes/client-node";
import { type FieldErrors, forbidden, invalid, StatusError } from "../errors.ts";
import { cloneJson, equalJson } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { defaultPodRequests, defaultPodSpec } from "./pod-defaults.ts";
import { podRow } from "./pod-print.ts";
import { validatePodSpec } from "./podspec/index.ts";

type Pod = Stored<V1Pod>;

const podResource = { group: "", plural: "pods" };

/** Where tokens and the root certificate are mounted in every container. */
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

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
    object.status = { phase: "Pending", qosClass: qosClass(spec) };
    addTolerations(spec);
    addPriority(object, spec, context);
    addRuntime(object, spec, context);
    addServiceAccount(object, spec, context);
  },
  prepareUpdate(object, old) {
    // A pod's status is the kubelet's; a status written before carries on.
    if (object.status && !object.status.qosClass && old.status?.qosClass) object.status.qosClass = old.status.qosClass;
  },
  validate(object, errors) {
    validatePodSpec(object.spec, "spec", errors, object.metadata.name);
  },
  validateUpdate: validatePodUpdate,
});

/** Guaranteed, Burstable or BestEffort by the resources of the containers. */
export function qosClass(spec: V1PodSpec): string {
  const resources = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.resources ?? {});
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

/** As the DefaultTolerationSeconds admission plugin. */
function addTolerations(spec: V1PodSpec): void {
  for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
    const tolerated = spec.tolerations?.some(
      (t) => (!t.key || t.key === key) && (!t.effect || t.effect === "NoExecute"),
    );
    if (tolerated) continue;
    spec.tolerations = [
      ...(spec.tolerations ?? []),
      { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    ];
  }
}

/** As the Priority admission plugin. */
function addPriority(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  const classes = context.list("priorityclasses.scheduling.k8s.io").map((e) => e.object as Stored<V1PriorityClass>);
  const chosen = spec.priorityClassName
    ? classes.find((c) => c.metadata.name === spec.priorityClassName)
    : classes.find((c) => c.globalDefault);
  if (spec.priorityClassName && !chosen) {
    throw forbidden(
      podResource,
      object.metadata.name,
      `no PriorityClass with name ${spec.priorityClassName} was found`,
    );
  }
  if (chosen) spec.priorityClassName = chosen.metadata.name;
  spec.priority = chosen?.value ?? 0;
  spec.preemptionPolicy ??= chosen?.preemptionPolicy ?? "PreemptLowerPriority";
}

/** 422 for a field that only a subresource sets. */
function createForbids(object: Pod, field: string, why: string): StatusError {
  return invalid("Pod", "", object.metadata.name, [
    { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field },
  ]);
}

/** As the RuntimeClass admission plugin: the class must exist, what it costs and where it runs is added. */
function addRuntime(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  if (!spec.runtimeClassName) return;
  const refuse = (why: string) => forbidden(podResource, object.metadata.name, `pod rejected: ${why}`);
  const found = context.get("runtimeclasses.node.k8s.io", spec.runtimeClassName)?.object;
  const chosen = found as Stored<V1RuntimeClass> | undefined;
  if (!chosen) throw refuse(`RuntimeClass "${spec.runtimeClassName}" not found`);
  const overhead = chosen.overhead?.podFixed;
  if (spec.overhead && !equalJson(spec.overhead, overhead))
    throw refuse("Pod's Overhead doesn't match RuntimeClass's defined Overhead");
  if (overhead) spec.overhead = { ...overhead };
  const { nodeSelector, tolerations } = chosen.scheduling ?? {};
  for (const [key, value] of Object.entries(nodeSelector ?? {})) {
    if ((spec.nodeSelector?.[key] ?? value) !== value)
      throw refuse(
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${spec.nodeSelector?.[key]}`,
      );
  }
  if (nodeSelector) spec.nodeSelector = { ...spec.nodeSelector, ...nodeSelector };
  const added = (tolerations ?? []).filter((t) => !spec.tolerations?.some((own) => equalJson(own, t)));
  if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...cloneJson(added)];
}

/** As the ServiceAccount admission plugin: the account must exist, its token is mounted. */
function addServiceAccount(object: Pod, spec: V1PodSpec, context: WriteContext): void {
  // Mirror pods stand for what a node runs on its own and have no account.
  if (object.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined) return;
  const name = spec.serviceAccountName || "default";
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
  const key = `${object.metadata.namespace}/${name}`;
  const account = context.get("serviceaccounts", key)?.object as Stored<V1ServiceAccount> | undefined;
  if (!account) {
    throw forbidden(
      podResource,
      object.metadata.name,
      `error looking up service account ${key}: serviceaccount "${name}" not found`,
    );
  }
  if (!spec.imagePullSecrets && account.imagePullSecrets) spec.imagePullSecrets = cloneJson(account.imagePullSecrets);
  if (!(spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true)) return;
  const volume = tokenVolume();
  let used = false;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    if (container.volumeMounts?.some((m) => m.mountPath === tokenPath)) continue;
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name: volume.name, readOnly: true, mountPath: tokenPath },
    ];
    used = true;
  }
  if (used) spec.volumes = [...(spec.volumes ?? []), volume];
}

function tokenVolume(): V1Volume {
  return {
    name: `kube-api-access-${randomSuffix()}`,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  };
}

const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Five characters as generateName appends them (apimachinery rand.String: no vowels, no look-alikes). */
export function randomSuffix(): string {
  // Node keeps random numbers for UUIDs in store; randomBytes() goes to OpenSSL for each five (45 µs).
  let number = Number.parseInt(randomUUID().slice(0, 8), 16);
  let suffix = "";
  for (let i = 0; i < 5; i++) {
    suffix += suffixAlphabet[number % suffixAlphabet.length];
    number = Math.floor(number / suffixAlphabet.length);
  }
  return suffix;
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
