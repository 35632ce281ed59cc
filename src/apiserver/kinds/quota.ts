import type { V1LimitRange, V1LimitRangeItem, V1ResourceQuota } from "@kubernetes/client-node";
import { compareQuantities, parseQuantity, scaledQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../errors.ts";
import { form, notNegative } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { qualifiedName } from "./names.ts";
import { age } from "./print.ts";
import { validateScopes } from "./quota-scopes.ts";

type Quota = Stored<V1ResourceQuota>;

/** core/v1 ResourceQuota. */
export const resourceQuota = defineKind<Quota>({
  group: "",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  type: "core.v1.ResourceQuota",
  shortNames: ["quota"],
  status: true,
  generation: false,
  columns: columns("Name", "Request", "Limit", "Age"),
  row(o, now) {
    const pairs = Object.entries(o.status?.hard ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const text = (limits: boolean) =>
      pairs
        .filter(([key]) => /^limits/.test(key) === limits)
        .map(([key, hard]) => `${key}: ${o.status?.used?.[key] ?? "0"}/${hard}`)
        .join(", ");
    return [o.metadata.name, text(false), text(true), age(o.metadata.creationTimestamp, now)];
  },
  validate: validateQuota,
  validateUpdate: (o, old, errors) => immutable(o.spec?.scopes, old.spec?.scopes, "spec.scopes", errors),
});

/** What a quota can count, beside `count/…`, `….storageclass.storage.k8s.io/…`, extended resources and huge pages. */
const countable = new Set([
  ...["cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage"],
  ...[
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
  ],
  ...["services", "services.nodeports", "services.loadbalancers", "replicationcontrollers", "secrets", "configmaps"],
  ...["persistentvolumeclaims"],
]);

const hugePages = /^(requests\.)?hugepages-/;
const amounts = /^(requests\.|limits\.)?(cpu|memory|storage|ephemeral-storage)$|hugepages-/;
function validateQuota(o: Quota, errors: FieldErrors): void {
  for (const [name, value] of Object.entries(o.spec?.hard ?? {})) {
    const path = `spec.hard[${name}]`;
    form(name, qualifiedName(name), path, errors);
    const known = countable.has(name) || /^(requests\.|limits\.)?hugepages-/.test(name);
    if (!name.includes("/") && !known) {
      if (name !== "storage") errors.invalid(path, name, "must be a standard resource type or fully qualified");
      errors.invalid(path, name, "must be a standard resource for quota");
    }
    const amount = parseQuantity(value);
    if (amount.unscaled < 0n) errors.invalid(path, value, notNegative);
    if (countable.has(name) && !amounts.test(name) && scaledQuantity(amount, -3) % 1000n !== 0n)
      errors.invalid(path, value, "must be an integer");
  }
  const counted = Object.keys(o.spec?.hard ?? {}).filter((name) => countable.has(name) || hugePages.test(name));
  if (o.spec) validateScopes(o.spec, counted, errors);
}

type Range = Stored<V1LimitRange>;

/** core/v1 LimitRange. */
export const limitRange = defineKind<Range>({
  group: "",
  kind: "LimitRange",
  plural: "limitranges",
  type: "core.v1.LimitRange",
  createOnUpdate: true,
  shortNames: ["limits"],
  columns: columns("Name", "Created At"),
  row: (o) => [o.metadata.name, o.metadata.creationTimestamp ?? "<unknown>"],
  defaults: (o) => o.spec?.limits?.forEach(defaultLimits),
  validate: validateRange,
});

/** SetDefaults_LimitRangeItem: a container's default is its most, what it asks for its default or its least. */
function defaultLimits(item: V1LimitRangeItem): void {
  if (item.type !== "Container") return;
  const ordinary = { ...item.max, ...item._default, ...(item as { default?: Record<string, string> }).default };
  if (Object.keys(ordinary).length > 0) (item as { default?: Record<string, string> }).default = ordinary;
  const asked = { ...item.min, ...ordinary, ...item.defaultRequest };
  if (Object.keys(asked).length > 0) item.defaultRequest = asked;
}

const limitTypes = ["Container", "PersistentVolumeClaim", "Pod"];

function validateRange(o: Range, errors: FieldErrors): void {
  const types = new Set<string>();
  o.spec?.limits?.forEach((item, i) => {
    const path = `spec.limits[${i}]`;
    const malformed = qualifiedName(item.type ?? "");
    form(item.type ?? "", malformed, `${path}.type`, errors);
    if (malformed.length === 0 && !item.type.includes("/") && !limitTypes.includes(item.type))
      errors.invalid(`${path}.type`, item.type, "must be a standard limit type or fully qualified");
    if (types.has(item.type)) errors.duplicate(`${path}.type`, item.type);
    types.add(item.type);
    validateLimit(item as V1LimitRangeItem & { default?: Record<string, string> }, path, errors);
  });
}

type Amounts = Readonly<Record<string, string>>;

function validateLimit(item: V1LimitRangeItem & { default?: Amounts }, path: string, errors: FieldErrors): void {
  const { min = {}, max = {}, default: ordinary = {}, defaultRequest = {}, maxLimitRequestRatio = {} } = item;
  if (item.type === "Pod") {
    if (Object.keys(ordinary).length > 0)
      errors.forbidden(`${path}.default`, "may not be specified when `type` is 'Pod'");
    if (Object.keys(defaultRequest).length > 0)
      errors.forbidden(`${path}.defaultRequest`, "may not be specified when `type` is 'Pod'");
  }
  if (item.type === "PersistentVolumeClaim" && !min.storage && !max.storage)
    errors.required(path, "either minimum or maximum storage value is required, but neither was provided");
  const fields = { min, max, default: ordinary, defaultRequest, maxLimitRequestRatio };
  const names = new Set(Object.values(fields).flatMap((amounts) => Object.keys(amounts)));
  for (const name of names) {
    /** Says so when the first amount is greater than the second. */
    const order = (field: keyof typeof fields, what: string, above: keyof typeof fields, limit: string) => {
      const [low, high] = [fields[field][name], fields[above][name]];
      if (low !== undefined && high !== undefined && compareQuantities(parseQuantity(low), parseQuantity(high)) > 0)
        errors.invalid(`${path}.${field}[${name}]`, low, `${what} value ${low} is greater than ${limit} value ${high}`);
    };
    order("min", "min", "max", "max");
    order("defaultRequest", "default request", "max", "max");
    order("defaultRequest", "default request", "default", "default limit");
    order("default", "default", "max", "max");
    const below = (field: "default" | "defaultRequest", what: string) => {
      const [low, least] = [fields[field][name], min[name]];
      if (low !== undefined && least !== undefined && compareQuantities(parseQuantity(least), parseQuantity(low)) > 0)
        errors.invalid(`${path}.${field}[${name}]`, least, `min value ${least} is greater than ${what} value ${low}`);
    };
    below("defaultRequest", "default request");
    below("default", "default");
    const ratio = maxLimitRequestRatio[name];
    if (ratio !== undefined && compareQuantities(parseQuantity(ratio), parseQuantity("1")) < 0)
      errors.invalid(`${path}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`);
  }
}
