import { approvalOf, isProtectedGroup } from "./definition-validate.ts";
import { type Crd, type CrdCondition, type CrdNames, type CrdStatus, withCondition } from "./model.ts";

/**
 * The status of a definition as its names and those of the others in its group make it
 * (apiextensions-apiserver pkg/controller/status, pkg/controller/apiapproval).
 */
export function namingStatus(crd: Crd, others: readonly Crd[], now: string): CrdStatus {
  const { accepted, condition } = acceptNames(crd, others);
  const before = crd.status?.conditions ?? [];
  let conditions = change(before, condition, now);
  const approval = approvalCondition(crd);
  if (approval) conditions = change(conditions, approval, now);
  const established = conditions.find((c) => c.type === "Established");
  if (established?.status !== "True") conditions = change(conditions, establishedCondition(condition), now);
  return { ...crd.status, conditions, acceptedNames: accepted };
}

/** Sets a condition unless it says the same already. */
function change(conditions: readonly CrdCondition[], next: CrdCondition, now: string): readonly CrdCondition[] {
  const old = conditions.find((c) => c.type === next.type);
  const same = old?.status === next.status && old.reason === next.reason && old.message === next.message;
  return same ? conditions : withCondition(conditions, next, now);
}

function establishedCondition(names: CrdCondition): CrdCondition {
  return names.status === "True"
    ? {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
      }
    : { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" };
}

function acceptNames(crd: Crd, others: readonly Crd[]): { accepted: CrdNames; condition: CrdCondition } {
  const inGroup = others.filter((o) => o.spec.group === crd.spec.group && o.metadata.name !== crd.metadata.name);
  const taken = inGroup.map((o) => o.status?.acceptedNames).filter((names) => names !== undefined);
  const resources = new Set(taken.flatMap((n) => [n.plural, n.singular, ...(n.shortNames ?? [])]));
  const kinds = new Set(taken.flatMap((n) => [n.kind, n.listKind]));
  const wanted = crd.spec.names;
  const accepted: { -readonly [K in keyof CrdNames]: CrdNames[K] } = {
    ...(crd.status?.acceptedNames ?? { plural: "", kind: "" }),
  };
  let condition: CrdCondition = {
    type: "NamesAccepted",
    status: "True",
    reason: "NoConflicts",
    message: "no conflicts found",
  };
  const refuse = (reason: string, message: string) => {
    condition = { type: "NamesAccepted", status: "False", reason, message };
  };
  const one = (field: "plural" | "singular" | "kind" | "listKind", used: ReadonlySet<string | undefined>) => {
    const name = wanted[field];
    if (name !== accepted[field] && used.has(name))
      refuse(`${field[0]?.toUpperCase()}${field.slice(1)}Conflict`, `"${name}" is already in use`);
    else if (name !== undefined) accepted[field] = name;
  };
  one("plural", resources);
  one("singular", resources);
  const clashes = (wanted.shortNames ?? []).filter((n) => !accepted.shortNames?.includes(n) && resources.has(n));
  if (clashes.length > 0) refuse("ShortNamesConflict", aggregate(clashes.map((n) => `"${n}" is already in use`)));
  else if (wanted.shortNames) accepted.shortNames = wanted.shortNames;
  else delete accepted.shortNames;
  one("kind", kinds);
  one("listKind", kinds);
  if (wanted.categories) accepted.categories = wanted.categories;
  else delete accepted.categories;
  return { accepted, condition };
}

/** Several errors as Go's aggregate prints them. */
function aggregate(texts: readonly string[]): string {
  return texts.length === 1 ? (texts[0] as string) : `[${texts.join(", ")}]`;
}

function approvalCondition(crd: Crd): CrdCondition | undefined {
  if (!isProtectedGroup(crd.spec.group)) return undefined;
  const { state, value } = approvalOf(crd);
  const type = "KubernetesAPIApprovalPolicyConformant";
  if (state === "approved")
    return { type, status: "True", reason: "ApprovedAnnotation", message: `approved in ${value}` };
  return { type, status: "False", reason: "UnapprovedAnnotation", message: `not approved: "${value}"` };
}
