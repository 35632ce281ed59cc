import type { V1PodSpec } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "../../auth/admission.ts";
import { FieldErrors } from "../../errors.ts";
import { isDict, type StoredObject } from "../../object.ts";
import type { Store } from "../../store/index.ts";
import { containersOf, type PodLike } from "./check.ts";
import { evaluate, violationsText } from "./evaluate.ts";
import { compareLevels, type Policy, policyOf, type Standard, standardText } from "./policy.ts";

/** Subresources of pods that change nothing that the standards speak of. */
const ignored = new Set(["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status"]);

/** Kinds that make pods of a template, which are warned about and never refused. */
const makers = new Set([
  ...["replicationcontrollers", "podtemplates", "replicasets.apps", "deployments.apps", "statefulsets.apps"],
  ...["daemonsets.apps", "jobs.batch", "cronjobs.batch"],
]);

/** Most pods that are looked at when a namespace gets another standard. */
const podLimit = 3000;

/**
 * The admission plugin PodSecurity: pods meet the standard that their namespace's labels name.
 * Source: kubernetes.io/docs/concepts/security/pod-security-admission, k8s.io/pod-security-admission/admission.
 */
export function podSecurity(store: Store): AdmissionCheck {
  return (write) => {
    if (write.operation === "DELETE") return;
    const { storage } = write.kind;
    if (storage === "pods") return onPod(policyIn(store, write.namespace), write);
    if (write.subresource !== "") return;
    if (makers.has(storage)) return onMaker(policyIn(store, write.namespace), write);
    if (storage === "namespaces") return onNamespace(store, write);
  };
}

function policyIn(store: Store, namespace: string): Policy {
  return policyOf(store.get("namespaces", namespace)?.object.metadata.labels);
}

function onPod(policy: Policy, write: Admitted): void {
  if (ignored.has(write.subresource)) return;
  const { enforce } = policy;
  if (enforce.level === "privileged" && policy.warn.level === "privileged") return;
  const pod = write.object as StoredObject & PodLike;
  if (write.old && !isSignificant(pod, write.old as StoredObject & PodLike)) return;
  const violations = evaluate(pod, enforce);
  if (violations.length > 0)
    throw refuseWrite(write, `violates PodSecurity "${standardText(enforce)}": ${violationsText(violations)}`);
  warn(policy.warn, pod, write);
}

/** Whether another image is run, or a container more: nothing else that matters can change. */
function isSignificant({ spec }: PodLike, { spec: old }: PodLike): boolean {
  const images = (of: V1PodSpec) => containersOf(of).map(({ name, image }) => [name, image]);
  return !equalJson(images(spec), images(old));
}

function onMaker(policy: Policy, write: Admitted): void {
  if (policy.warn.level === "privileged") return;
  const spec = write.object?.spec ?? write.object;
  const jobSpec = isDict(spec) && isDict(spec.jobTemplate) ? spec.jobTemplate.spec : spec;
  const template = isDict(jobSpec) ? jobSpec.template : undefined;
  if (isDict(template) && isDict(template.spec))
    warn(policy.warn, { metadata: {}, ...template } as unknown as PodLike, write);
}

function warn(standard: Standard, pod: PodLike, write: Admitted): void {
  const violations = evaluate(pod, standard);
  if (violations.length > 0)
    write.warn?.(`would violate PodSecurity "${standardText(standard)}": ${violationsText(violations)}`);
}

const auditLabel = "pod-security.kubernetes.io/audit";

function onNamespace(store: Store, { object, old, name, kind, warn }: Admitted): void {
  const errors = new FieldErrors();
  const { enforce } = policyOf(object?.metadata.labels, errors);
  const before = new FieldErrors();
  const { enforce: was } = policyOf(old?.metadata.labels, before);
  // What was wrong before does not keep the rest from being changed.
  if (!equalJson(errors.causes, before.causes)) errors.throwIfAny(kind.kind, kind.group, name);
  const audit = object?.metadata.labels?.[auditLabel];
  if (audit !== undefined && audit !== old?.metadata.labels?.[auditLabel])
    warn?.(`${auditLabel} has no effect: this cluster has no audit log`);
  if (!old || equalJson(enforce, was)) return;
  if (enforce.version === was.version && compareLevels(enforce.level, was.level) < 0) return;
  for (const text of warningsOf(store, name, enforce)) warn?.(text);
}

/** What of a namespace's pods would not be admitted today; pods alike are told once. */
function warningsOf(store: Store, namespace: string, enforce: Standard): string[] {
  const pods = store.list("pods").filter((entry) => entry.namespace === namespace);
  const named = new Map<string, string[]>();
  for (const { object } of pods.slice(0, podLimit)) {
    const reasons = evaluate(object as StoredObject & PodLike, enforce).map(({ reason }) => reason);
    if (reasons.length === 0) continue;
    const text = reasons.join(", ");
    named.set(text, [...(named.get(text) ?? []), object.metadata.name]);
  }
  const partial = `new PodSecurity enforce level only checked against the first ${podLimit} of ${pods.length} existing pods`;
  const violating = `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${standardText(enforce)}"`;
  return [
    ...(pods.length > podLimit ? [partial] : []),
    ...(named.size > 0 ? [violating] : []),
    ...[...named].map(([text, names]) => `${podsText(names.sort())}: ${text}`).sort(),
  ];
}

function podsText([first, ...others]: readonly string[]): string {
  if (others.length === 0) return first ?? "";
  return `${first} (and ${others.length} other ${others.length === 1 ? "pod" : "pods"})`;
}
