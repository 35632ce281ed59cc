import type { V1Pod } from "@kubernetes/client-node";
import { addQuantities, compareQuantities, formatQuantity, parseQuantity, type Quantity } from "#base/quantity.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "../../auth/admission.ts";
import type { StoredObject } from "../../object.ts";
import type { Store } from "../../store/index.ts";
import type { Amounts } from "../amounts.ts";
import { onlyOf, type Quota, type QuotaCounter, quotasIn } from "./count.ts";
import { inScope } from "./scopes.ts";
import { usageOf } from "./usage.ts";

/** Kinds of which an update can use more. */
const growing = new Set(["persistentvolumeclaims", "services"]);

/**
 * The admission plugin ResourceQuota: a write that would use more of a resource than a quota of its namespace grants is
 * refused. Where upstream goes by the quota's status, which lags behind, this counts what is stored.
 * Source: kubernetes.io/docs/concepts/policy/resource-quotas, k8s.io/apiserver/pkg/admission/plugin/resourcequota.
 */
export function resourceQuota(store: Store, counter: QuotaCounter): AdmissionCheck {
  return (write) => {
    if (!isCounted(write) || !write.object) return;
    for (const quota of quotasIn(store, write.namespace)) check(counter, quota, write, write.object);
  };
}

function isCounted({ kind, namespace, operation, subresource }: Admitted): boolean {
  if (namespace === "" || kind.storage === "events") return false;
  if (subresource === "resize") return kind.storage === "pods";
  if (subresource !== "") return false;
  return operation === "CREATE" || (operation === "UPDATE" && growing.has(kind.storage));
}

function check(counter: QuotaCounter, quota: Quota, write: Admitted, object: StoredObject): void {
  const { storage } = write.kind;
  const { spec = {}, metadata } = quota;
  if (!inScope(spec, storage, object)) return;
  const after = onlyOf(quota, usageOf(storage, object));
  if (storage === "pods") {
    const missing = unspecified(Object.keys(spec.hard ?? {}), object as unknown as V1Pod);
    if (missing) throw refuseWrite(write, `failed quota: ${metadata.name}: must specify ${missing}`);
  }
  const before = write.old && inScope(spec, storage, write.old) ? usageOf(storage, write.old) : {};
  const requested = increase(before, after);
  if (Object.keys(requested).length === 0) return;
  const used = counter.usedOf(quota);
  const hard = (name: string) => parseQuantity(spec.hard?.[name] ?? "0");
  const exceeded = Object.entries(requested)
    .filter(([name, more]) => compareQuantities(addQuantities(used[name] ?? more, more), hard(name)) > 0)
    .map(([name]) => name)
    .sort();
  if (exceeded.length === 0) return;
  const text = (of: (name: string) => Quantity | undefined) =>
    exceeded.map((name) => `${name}=${formatQuantity(of(name) ?? hard(name))}`).join(",");
  throw refuseWrite(
    write,
    `exceeded quota: ${metadata.name}, requested: ${text((name) => requested[name])}, used: ${text((name) => used[name])}, limited: ${text(hard)}`,
  );
}

/** What grows, by how much. */
function increase(before: Amounts, after: Amounts): Amounts {
  const more: Record<string, Quantity> = {};
  for (const [name, amount] of Object.entries(after)) {
    const was = before[name];
    const by = was ? addQuantities(amount, { ...was, unscaled: -was.unscaled }) : amount;
    if (by.unscaled > 0n) more[name] = by;
  }
  return more;
}

/** Of CPU and memory, every container has to say how much it wants where a quota counts that. */
const explicit = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/** `limits.cpu for: a,b; memory for: a`; undefined when nothing is missing. */
function unspecified(counted: readonly string[], { spec }: V1Pod): string | undefined {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const missing = explicit
    .filter((resource) => counted.includes(resource))
    .map((resource) => {
      const field = resource.startsWith("limits.") ? "limits" : "requests";
      const name = resource.replace(/^(limits|requests)\./, "");
      const silent = containers.filter(({ resources }) => resources?.[field]?.[name] === undefined);
      return { resource, names: silent.map((c) => c.name).sort() };
    })
    .filter(({ names }) => names.length > 0);
  return missing.length > 0
    ? missing.map(({ resource, names }) => `${resource} for: ${names.join(",")}`).join("; ")
    : undefined;
}
