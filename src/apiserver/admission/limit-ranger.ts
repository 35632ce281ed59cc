import type {
  V1Container,
  V1LimitRange,
  V1LimitRangeItem,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodSpec,
} from "@kubernetes/client-node";
import { compareQuantities, formatQuantity, parseQuantity, type Quantity } from "#base/quantity.ts";
import { type AdmissionCheck, refuseWrite } from "../auth/admission.ts";
import type { Meta } from "../object.ts";
import type { Entry, Store } from "../store/index.ts";
import { type Amounts, amountsOf, podAmounts } from "./amounts.ts";

/**
 * The admission plugin LimitRanger.
 * Source: kubernetes.io/docs/concepts/policy/limit-range, k8s.io/kubernetes/plugin/pkg/admission/limitranger.
 */

type Item = V1LimitRangeItem & { readonly default?: Readonly<Record<string, string>> };

const storage = "limitranges";

function itemsIn(entries: readonly Entry[], namespace: string): Item[][] {
  return entries
    .filter((entry) => entry.namespace === namespace)
    .map(({ object }) => ((object as unknown as V1LimitRange).spec?.limits ?? []) as Item[]);
}

/** Gives a new pod's containers the defaults of its namespace's LimitRanges, and notes that on the pod. */
export function defaultLimits(
  pod: { metadata: Meta; spec: V1PodSpec },
  list: (resource: string) => readonly Entry[],
): void {
  const notes: string[] = [];
  for (const items of itemsIn(list(storage), pod.metadata.namespace ?? "")) {
    const own = items.filter(({ type }) => type === "Container");
    const requests = Object.assign({}, ...own.map((item) => item.defaultRequest ?? {})) as Record<string, string>;
    const limits = Object.assign({}, ...own.map((item) => item.default ?? {})) as Record<string, string>;
    notes.push(
      ...(pod.spec.containers ?? []).flatMap((c) => complete(c, "container", requests, limits)),
      ...(pod.spec.initContainers ?? []).flatMap((c) => complete(c, "init container", requests, limits)),
    );
  }
  if (notes.length === 0) return;
  const text = `LimitRanger plugin set: ${notes.join("; ")}`;
  pod.metadata.annotations = { ...pod.metadata.annotations, "kubernetes.io/limit-ranger": text };
}

function complete(
  container: V1Container,
  what: string,
  requests: Readonly<Record<string, string>>,
  limits: Readonly<Record<string, string>>,
): string[] {
  const set = (field: "requests" | "limits", defaults: Readonly<Record<string, string>>, word: string): string[] => {
    const missing = Object.keys(defaults)
      .filter((name) => container.resources?.[field]?.[name] === undefined)
      .sort();
    if (missing.length === 0) return [];
    const added = Object.fromEntries(missing.map((name) => [name, defaults[name] as string]));
    container.resources = { ...container.resources, [field]: { ...container.resources?.[field], ...added } };
    return [`${missing.join(", ")} ${word} for ${what} ${container.name}`];
  };
  return [...set("requests", requests, "request"), ...set("limits", limits, "limit")];
}

/** Refuses pods and claims that a LimitRange of their namespace does not allow. */
export function limitRanger(store: Store): AdmissionCheck {
  return (write) => {
    const { kind, operation, subresource, object, namespace } = write;
    const pod = kind.storage === "pods" && (subresource === "resize" || (subresource === "" && operation === "CREATE"));
    const claim = kind.storage === "persistentvolumeclaims" && subresource === "";
    if (!object || !(pod || claim)) return;
    for (const items of itemsIn(store.list(storage), namespace)) {
      const faults = pod
        ? podFaults((object as unknown as V1Pod).spec as V1PodSpec, items)
        : claimFaults(object as unknown as V1PersistentVolumeClaim, items);
      if (faults.length > 0)
        throw refuseWrite(write, faults.length === 1 ? (faults[0] ?? "") : `[${faults.join(", ")}]`);
    }
  };
}

function podFaults(spec: V1PodSpec, items: readonly Item[]): string[] {
  return items.flatMap((item) => {
    if (item.type === "Pod") return faultsOf(item, podAmounts(spec, "requests"), podAmounts(spec, "limits"));
    if (item.type !== "Container") return [];
    return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
      faultsOf(item, amountsOf(resources?.requests), amountsOf(resources?.limits)),
    );
  });
}

function faultsOf(item: Item, requests: Amounts, limits: Amounts): string[] {
  const each = (
    amounts: Readonly<Record<string, string>> | undefined,
    fault: (name: string, bound: Quantity) => string | undefined,
  ) =>
    Object.keys(amounts ?? {})
      .sort()
      .flatMap((name) => fault(name, parseQuantity(amounts?.[name] ?? "0")) ?? []);
  return [
    ...each(item.min, (name, bound) => belowMinimum(item.type, name, bound, requests[name], limits[name])),
    ...each(item.max, (name, bound) => aboveMaximum(item.type, name, bound, requests[name], limits[name])),
    ...each(item.maxLimitRequestRatio, (name, bound) =>
      overRatio(item.type, name, bound, requests[name], limits[name]),
    ),
  ];
}

const less = (a: Quantity, b: Quantity) => compareQuantities(a, b) < 0;

function belowMinimum(type: string, name: string, bound: Quantity, request?: Quantity, limit?: Quantity) {
  const rule = `minimum ${name} usage per ${type} is ${formatQuantity(bound)}`;
  if (!request) return `${rule}.  No request is specified`;
  if (less(request, bound)) return `${rule}, but request is ${formatQuantity(request)}`;
  if (limit && less(limit, bound)) return `${rule}, but limit is ${formatQuantity(limit)}`;
  return undefined;
}

function aboveMaximum(type: string, name: string, bound: Quantity, request?: Quantity, limit?: Quantity) {
  const rule = `maximum ${name} usage per ${type} is ${formatQuantity(bound)}`;
  if (!limit) return `${rule}.  No limit is specified`;
  if (less(bound, limit)) return `${rule}, but limit is ${formatQuantity(limit)}`;
  if (request && less(bound, request)) return `${rule}, but request is ${formatQuantity(request)}`;
  return undefined;
}

function overRatio(type: string, name: string, bound: Quantity, request?: Quantity, limit?: Quantity) {
  const rule = `${name} max limit to request ratio per ${type} is ${formatQuantity(bound)}`;
  if (!request || request.unscaled === 0n) return `${rule}, but no request is specified or request is 0`;
  if (!limit || limit.unscaled === 0n) return `${rule}, but no limit is specified or limit is 0`;
  const ratio = numberOf(limit) / numberOf(request);
  return ratio > numberOf(bound) ? `${rule}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
}

const numberOf = ({ unscaled, scale }: Quantity) => Number(unscaled) * 10 ** scale;

function claimFaults({ spec }: V1PersistentVolumeClaim, items: readonly Item[]): string[] {
  const requests = amountsOf(spec?.resources?.requests);
  return items
    .filter(({ type }) => type === "PersistentVolumeClaim")
    .flatMap((item) => [
      ...faultsOf({ type: item.type, ...(item.min ? { min: item.min } : {}) }, requests, {}),
      ...Object.entries(item.max ?? {}).flatMap(([name, text]) => {
        const [bound, request] = [parseQuantity(text), requests[name]];
        const rule = `maximum ${name} usage per ${item.type} is ${formatQuantity(bound)}`;
        if (!request) return [`${rule}.  No request is specified`];
        return less(bound, request) ? [`${rule}, but request is ${formatQuantity(request)}`] : [];
      }),
    ]);
}
