import type { V1CertificateSigningRequest } from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../../errors.ts";
import { columns, defineKind } from "../define.ts";
import type { Stored, WriteContext } from "../definition.ts";
import { dnsLabel, dnsSubdomain } from "../names.ts";
import { age, humanDuration } from "../print.ts";
import { requestProblem } from "./pkcs10.ts";

type Request = Stored<V1CertificateSigningRequest>;
type Condition = NonNullable<NonNullable<V1CertificateSigningRequest["status"]>["conditions"]>[number];

/** certificates.k8s.io/v1 CertificateSigningRequest: stored and approved; nothing signs it. */
export const certificateSigningRequest = defineKind<Request>({
  group: "certificates.k8s.io",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  type: "certificates.v1.CertificateSigningRequest",
  shortNames: ["csr"],
  namespaced: false,
  status: true,
  generation: false,
  nameRule: () => [],
  subresources: { approval: { kind: "CertificateSigningRequest", verbs: ["get", "patch", "update"] } },
  columns: columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
  row: (o, now) => [
    o.metadata.name,
    age(o.metadata.creationTimestamp, now),
    o.spec.signerName || "<none>",
    o.spec.username ?? "",
    o.spec.expirationSeconds === undefined ? "<none>" : humanDuration(o.spec.expirationSeconds),
    conditionText(o),
  ],
  selectableFields: ["spec.signerName"],
  selectable: (o) => ({ "spec.signerName": o.spec?.signerName ?? "" }),
  prepareCreate(o, context) {
    o.spec ??= {} as Request["spec"];
    setRequester(o, context);
    o.status = {};
  },
  prepareUpdate(o, old) {
    o.spec = structuredClone(old.spec);
  },
  validate: validateRequest,
  validateUpdate: (o, old, errors) => validateStatus(o, old, errors, ""),
  prepareStatus,
  validateStatus,
});

/** Who asks is the server's word, never the client's. */
function setRequester(o: Request, { user }: WriteContext): void {
  const { username: _name, uid: _uid, groups: _groups, extra: _extra, ...spec } = o.spec;
  o.spec = {
    ...spec,
    username: user.name,
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.groups.length > 0 ? { groups: [...user.groups] } : {}),
    ...(user.extra ? { extra: structuredClone(user.extra) as Record<string, string[]> } : {}),
  };
}

/** Approved, Denied or Pending, with what came of it (extractCSRStatus). */
function conditionText(o: Request): string {
  const has = (type: string) => o.status?.conditions?.some((c) => c.type === type) ?? false;
  const state = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending";
  return `${state}${has("Failed") ? ",Failed" : ""}${o.status?.certificate ? ",Issued" : ""}`;
}

const usages = [
  ...["any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment"],
  ...["decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel"],
  ...["ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime"],
  ...["server auth", "signing", "timestamping"],
];

function validateRequest(o: Request, errors: FieldErrors): void {
  const spec = o.spec;
  const problem = requestProblem(spec?.request ?? "");
  if (problem) errors.invalid("spec.request", spec?.request ?? "", problem);
  if (!spec?.usages?.length) errors.required("spec.usages");
  const seen = new Set<string>();
  spec?.usages?.forEach((usage, i) => {
    if (!usages.includes(usage)) errors.unsupported(`spec.usages[${i}]`, usage, usages);
    if (seen.has(usage)) errors.duplicate(`spec.usages[${i}]`, usage);
    seen.add(usage);
  });
  if (spec?.signerName === "kubernetes.io/legacy-unknown")
    errors.invalid("spec.signerName", spec.signerName, "the legacy signerName is not allowed via this API version");
  else validateSignerName(spec?.signerName ?? "", "spec.signerName", errors);
  if (spec?.expirationSeconds !== undefined && spec.expirationSeconds < 600)
    errors.invalid(
      "spec.expirationSeconds",
      spec.expirationSeconds,
      "may not specify a duration less than 600 seconds (10 minutes)",
    );
}

/** A signer such as `example.com/name` (core ValidateSignerName). */
function validateSignerName(name: string, path: string, errors: FieldErrors): void {
  if (name === "") {
    errors.required(path);
    return;
  }
  const [domain = "", tail = "", ...more] = name.split("/");
  if (more.length > 0 || !name.includes("/")) {
    errors.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    return;
  }
  const labels = domain.split(".");
  for (const label of labels)
    for (const problem of dnsLabel(label))
      errors.invalid(path, domain, `validating label ${JSON.stringify(label)}: ${problem}`);
  if (labels.length < 2)
    errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
  for (const label of tail.split("."))
    for (const problem of dnsSubdomain(label))
      errors.invalid(path, tail, `validating label ${JSON.stringify(label)}: ${problem}`);
}

/** Each subresource changes its own conditions only; times are filled in. */
function prepareStatus(o: Request, old: Request, context: WriteContext, subresource: string): void {
  const decisions = (c: Condition) => c.type === "Approved" || c.type === "Denied";
  if (subresource === "approval") o.status = { ...old.status, conditions: o.status?.conditions ?? [] };
  else {
    const kept = (old.status?.conditions ?? []).filter(decisions);
    const given = (o.status?.conditions ?? []).filter((c) => !decisions(c));
    o.status = { ...o.status, conditions: [...kept, ...given] };
  }
  for (const condition of (o.status.conditions ?? []) as unknown as { [field: string]: unknown }[]) {
    const before = old.status?.conditions?.find((c) => c.type === condition.type);
    condition.lastUpdateTime ??= context.now;
    condition.lastTransitionTime ??=
      before && before.status === condition.status ? before.lastTransitionTime : context.now;
  }
  if (o.status.conditions?.length === 0) delete o.status.conditions;
}

const lasting = ["Approved", "Denied", "Failed"];

function validateStatus(o: Request, old: Request, errors: FieldErrors, subresource: string): void {
  validateConditions(o.status?.conditions ?? [], errors);
  const count = (r: Request, type: string) => (r.status?.conditions ?? []).filter((c) => c.type === type).length;
  for (const type of lasting) {
    if (count(o, type) < count(old, type))
      errors.forbidden("status.conditions", `updates may not remove a condition of type "${type}"`);
    if (subresource !== "approval" && type !== "Failed" && count(o, type) > count(old, type))
      errors.forbidden("status.conditions", `updates may not add a condition of type "${type}"`);
  }
  if (!equalJson(o.status?.certificate, old.status?.certificate) && old.status?.certificate)
    errors.forbidden("status.certificate", "updates may not modify existing certificate content");
}

function validateConditions(conditions: readonly Condition[], errors: FieldErrors): void {
  const seen = new Set<string>();
  conditions.forEach((c, i) => {
    const path = `status.conditions[${i}]`;
    if (!c.type) errors.required(`${path}.type`);
    else if (seen.has(c.type)) errors.duplicate(`${path}.type`, c.type);
    const states = lasting.includes(c.type) ? ["True"] : ["False", "True", "Unknown"];
    if (!c.status) errors.required(`${path}.status`);
    else if (!states.includes(c.status)) errors.unsupported(`${path}.status`, c.status, states);
    const other = c.type === "Approved" ? "Denied" : c.type === "Denied" ? "Approved" : undefined;
    if (other && seen.has(other))
      errors.invalid(`${path}.type`, c.type, "Approved and Denied conditions are mutually exclusive");
    seen.add(c.type);
  });
}
