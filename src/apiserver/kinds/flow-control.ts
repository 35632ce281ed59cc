import type { FlowcontrolV1Subject, V1FlowSchema, V1PriorityLevelConfiguration } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { nonNegative, oneOf } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { age } from "./print.ts";

const group = "flowcontrol.apiserver.k8s.io";

type Schema = Stored<V1FlowSchema>;

/** flowcontrol.apiserver.k8s.io/v1 FlowSchema, stored: this server queues no requests. */
export const flowSchema = defineKind<Schema>({
  group,
  kind: "FlowSchema",
  plural: "flowschemas",
  type: "flowcontrol.v1.FlowSchema",
  namespaced: false,
  status: true,
  columns: columns("Name", "PriorityLevel", "MatchingPrecedence", "DistinguisherMethod", "Age", "MissingPL"),
  row(o, now) {
    const dangling = o.status?.conditions?.find((c) => c.type === "Dangling");
    return [
      o.metadata.name,
      o.spec?.priorityLevelConfiguration.name ?? "<none>",
      o.spec?.matchingPrecedence ?? 0,
      o.spec?.distinguisherMethod?.type ?? "<none>",
      age(o.metadata.creationTimestamp, now),
      dangling?.status ?? "?",
    ];
  },
  defaults(o) {
    if (o.spec) o.spec.matchingPrecedence ||= 1000;
    o.status ??= {};
  },
  validate(o, errors) {
    const precedence = o.spec?.matchingPrecedence ?? 0;
    if (precedence < 1 || precedence > 10_000)
      errors.invalid("spec.matchingPrecedence", precedence, "must be between 1 and 10000, inclusive");
    if (!o.spec?.priorityLevelConfiguration?.name)
      errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level");
    if (o.spec?.distinguisherMethod)
      oneOf(o.spec.distinguisherMethod.type, ["ByNamespace", "ByUser"], "spec.distinguisherMethod.type", errors);
    o.spec?.rules?.forEach((rule, i) => {
      const path = `spec.rules[${i}]`;
      if (!rule.subjects?.length) errors.required(`${path}.subjects`, "subjects must contain at least one value");
      rule.subjects?.forEach((subject, j) => {
        validateSubject(subject, `${path}.subjects[${j}]`, errors);
      });
      if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    });
  },
});

const subjects = { Group: "group", ServiceAccount: "serviceAccount", User: "user" } as const;

function validateSubject(subject: FlowcontrolV1Subject, path: string, errors: FieldErrors): void {
  const field = subjects[subject.kind as keyof typeof subjects];
  if (!field) errors.unsupported(`${path}.kind`, subject.kind ?? "", Object.keys(subjects));
  else if (!subject[field])
    errors.required(`${path}.${field}`, `${field} is required when subject kind is '${subject.kind}'`);
}

type Level = Stored<V1PriorityLevelConfiguration>;

/** flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration, stored. */
export const priorityLevelConfiguration = defineKind<Level>({
  group,
  kind: "PriorityLevelConfiguration",
  plural: "prioritylevelconfigurations",
  type: "flowcontrol.v1.PriorityLevelConfiguration",
  namespaced: false,
  status: true,
  columns: columns("Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"),
  row(o, now) {
    const { limited, exempt } = o.spec ?? {};
    const queuing = limited?.limitResponse?.queuing;
    return [
      o.metadata.name,
      o.spec?.type ?? "",
      limited?.nominalConcurrencyShares ?? exempt?.nominalConcurrencyShares ?? "<none>",
      queuing?.queues ?? "<none>",
      queuing?.handSize ?? "<none>",
      queuing?.queueLengthLimit ?? "<none>",
      age(o.metadata.creationTimestamp, now),
    ];
  },
  defaults: defaultLevel,
  validate(o, errors) {
    oneOf(o.spec?.type, ["Exempt", "Limited"], "spec.type", errors);
    if (o.spec?.type === "Limited" && !o.spec.limited)
      errors.required("spec.limited", "must not be empty when type is Limited");
    if (o.spec?.type === "Exempt" && o.spec.limited)
      errors.forbidden("spec.limited", "must be nil if the type is not Limited");
    if (o.spec?.type === "Limited" && o.spec.exempt)
      errors.forbidden("spec.exempt", "must be nil if the type is Limited");
    validateLimits(o, errors);
  },
});

function defaultLevel(o: Level): void {
  o.status ??= {};
  const { spec } = o;
  if (spec?.type === "Exempt") {
    spec.exempt ??= {};
    spec.exempt.nominalConcurrencyShares ??= 0;
    spec.exempt.lendablePercent ??= 0;
  }
  if (spec?.type !== "Limited" || !spec.limited) return;
  spec.limited.nominalConcurrencyShares ??= 30;
  spec.limited.lendablePercent ??= 0;
  const queuing = spec.limited.limitResponse?.queuing;
  if (!queuing) return;
  queuing.queues ||= 64;
  queuing.handSize ||= 8;
  queuing.queueLengthLimit ||= 50;
}

function validateLimits(o: Level, errors: FieldErrors): void {
  const limited = o.spec?.limited;
  if (!limited) return;
  nonNegative(limited.nominalConcurrencyShares, "spec.limited.nominalConcurrencyShares", errors);
  const lendable = limited.lendablePercent ?? 0;
  if (lendable < 0 || lendable > 100)
    errors.invalid("spec.limited.lendablePercent", lendable, "must be between 0 and 100, inclusive");
  nonNegative(limited.borrowingLimitPercent, "spec.limited.borrowingLimitPercent", errors);
  const path = "spec.limited.limitResponse";
  const response = limited.limitResponse;
  oneOf(response?.type, ["Queue", "Reject"], `${path}.type`, errors);
  if (response?.type === "Queue" && !response.queuing)
    errors.required(`${path}.queuing`, "must not be empty if limit response type is Queue");
  if (response?.type === "Reject" && response.queuing)
    errors.forbidden(`${path}.queuing`, "must be nil if limited.limitResponse.type is not Limited");
}
