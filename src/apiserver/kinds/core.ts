import type {
  CoreV1Event,
  V1ConfigMap,
  V1Endpoints,
  V1LimitRange,
  V1Namespace,
  V1Node,
  V1ResourceQuota,
  V1Secret,
  V1ServiceAccount,
} from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { cloneJson, type Dict, equalJson, type StoredObject } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { configKey, dnsLabel } from "./names.ts";
import { age, orNone, shortList } from "./print.ts";

type Namespace = Stored<V1Namespace>;

/** core/v1 Namespace. Deletion waits for spec.finalizers, which the namespace controller empties by /finalize. */
export const namespace = defineKind<Namespace>({
  group: "",
  kind: "Namespace",
  plural: "namespaces",
  type: "core.v1.Namespace",
  shortNames: ["ns"],
  namespaced: false,
  status: true,
  generation: false,
  subresources: { finalize: { kind: "Namespace", verbs: ["update"] } },
  nameRule: dnsLabel,
  columns: columns("Name", "Status", "Age"),
  row: (o, now) => [o.metadata.name, o.status?.phase ?? "", age(o.metadata.creationTimestamp, now)],
  selectableFields: ["status.phase"],
  selectable: (o) => ({ "status.phase": o.status?.phase ?? "" }),
  deletion: {
    keeps: (o) => (o.spec?.finalizers?.length ?? 0) > 0,
    begin(o) {
      o.status = { ...o.status, phase: "Terminating" };
    },
  },
  prepareCreate(o) {
    o.spec = { finalizers: ["kubernetes"] };
    o.status = { phase: "Active" };
    o.metadata.labels = { ...o.metadata.labels, "kubernetes.io/metadata.name": o.metadata.name };
  },
  prepareUpdate(o, old) {
    // Only /finalize changes the finalizers.
    o.spec = cloneJson(old.spec ?? {});
    o.metadata.labels = { ...o.metadata.labels, "kubernetes.io/metadata.name": o.metadata.name };
  },
});

type Node = Stored<V1Node>;

/** core/v1 Node. */
export const node = defineKind<Node>({
  group: "",
  kind: "Node",
  plural: "nodes",
  type: "core.v1.Node",
  shortNames: ["no"],
  namespaced: false,
  status: true,
  keepsStatusOnCreate: true,
  generation: false,
  subresources: { proxy: { kind: "NodeProxyOptions", verbs: ["create", "delete", "get", "patch", "update"] } },
  columns: columns(
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "+Internal-IP",
    "+External-IP",
    "+OS-Image",
    "+Kernel-Version",
    "+Container-Runtime",
  ),
  row: nodeRow,
  selectableFields: ["spec.unschedulable"],
  selectable: (o) => ({ "spec.unschedulable": String(o.spec?.unschedulable ?? false) }),
  defaults(o) {
    o.spec ??= {};
    o.status ??= {};
    if (!o.status.allocatable && o.status.capacity) o.status.allocatable = { ...o.status.capacity };
  },
  prepareUpdate: (o) => taintUnschedulable(o),
  prepareCreate: (o) => taintUnschedulable(o),
  validateUpdate(o, old, errors) {
    const [now, before] = [o.spec?.podCIDRs ?? [], old.spec?.podCIDRs ?? []];
    if (before.length > 0 && !equalJson(now, before))
      errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid');
    if (old.spec?.providerID && o.spec?.providerID !== old.spec.providerID) {
      errors.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid');
    }
  },
});

/** The node controller's taint follows spec.unschedulable. */
function taintUnschedulable(o: Node): void {
  const key = "node.kubernetes.io/unschedulable";
  const others = (o.spec?.taints ?? []).filter((t) => t.key !== key);
  if (!o.spec) return;
  if (o.spec.unschedulable)
    o.spec.taints = [...others, o.spec.taints?.find((t) => t.key === key) ?? { key, effect: "NoSchedule" }];
  else if (others.length > 0) o.spec.taints = others;
  else delete o.spec.taints;
}

function nodeRow(o: Node, now: number): unknown[] {
  const ready = o.status?.conditions?.find((c) => c.type === "Ready");
  const state = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (o.spec?.unschedulable) state.push("SchedulingDisabled");
  const roles = Object.entries(o.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith("node-role.kubernetes.io/")) return [key.slice("node-role.kubernetes.io/".length)];
    return key === "kubernetes.io/role" && value ? [value] : [];
  });
  const address = (type: string) => o.status?.addresses?.find((a) => a.type === type)?.address ?? "<none>";
  const info = o.status?.nodeInfo;
  return [
    o.metadata.name,
    state.join(","),
    orNone([...new Set(roles.filter(Boolean))].sort()),
    age(o.metadata.creationTimestamp, now),
    info?.kubeletVersion ?? "",
    address("InternalIP"),
    address("ExternalIP"),
    info?.osImage || "<unknown>",
    info?.kernelVersion || "<unknown>",
    info?.containerRuntimeVersion || "<unknown>",
  ];
}

/** The limit of a ConfigMap's or Secret's data (core MaxSecretSize). */
const dataLimit = 1024 * 1024;

type ConfigMap = Stored<V1ConfigMap>;

/** core/v1 ConfigMap. */
export const configMap = defineKind<ConfigMap>({
  group: "",
  kind: "ConfigMap",
  plural: "configmaps",
  type: "core.v1.ConfigMap",
  shortNames: ["cm"],
  columns: columns("Name", "Data#", "Age"),
  row: (o, now) => [
    o.metadata.name,
    Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ],
  validate(o, errors) {
    let size = 0;
    for (const [field, data] of [
      ["data", o.data],
      ["binaryData", o.binaryData],
    ] as const) {
      for (const [key, value] of Object.entries(data ?? {})) {
        for (const problem of configKey(key)) errors.invalid(`${field}[${key}]`, key, problem);
        size += Buffer.byteLength(value);
      }
    }
    for (const key of Object.keys(o.data ?? {})) {
      if (o.binaryData?.[key] !== undefined)
        errors.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    }
    if (size > dataLimit) errors.tooLong("", dataLimit);
  },
  validateUpdate(o, old, errors) {
    frozen(o, old, ["data", "binaryData"], errors);
  },
});

/** `immutable: true` stays, and with it the data. */
function frozen(o: StoredObject, old: StoredObject, fields: readonly string[], errors: FieldErrors): void {
  if (old.immutable !== true) return;
  if (o.immutable !== true) errors.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const field of fields) {
    if (!equalJson(o[field], old[field])) errors.forbidden(field, "field is immutable when `immutable` is set");
  }
}

type Secret = Stored<V1Secret>;

const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

/** core/v1 Secret; stringData is turned into data. */
export const secret = defineKind<Secret>({
  group: "",
  kind: "Secret",
  plural: "secrets",
  type: "core.v1.Secret",
  columns: columns("Name", "Type", "Data#", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.type ?? "",
    Object.keys(o.data ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ],
  selectableFields: ["type"],
  selectable: (o) => ({ type: o.type ?? "" }),
  defaults(o) {
    o.type ??= "Opaque";
    for (const [key, value] of Object.entries(o.stringData ?? {})) {
      o.data = { ...o.data, [key]: Buffer.from(value).toString("base64") };
    }
    delete o.stringData;
  },
  validate(o, errors) {
    let size = 0;
    for (const [key, value] of Object.entries(o.data ?? {})) {
      for (const problem of configKey(key)) errors.invalid(`data[${key}]`, key, problem);
      size += (value.length * 3) / 4;
    }
    if (size > dataLimit) errors.tooLong("data", dataLimit);
    for (const key of requiredKeys[o.type ?? ""] ?? [])
      if (o.data?.[key] === undefined) errors.required(`data[${key}]`);
    if (
      o.type === "kubernetes.io/service-account-token" &&
      !o.metadata.annotations?.["kubernetes.io/service-account.name"]
    ) {
      errors.required("metadata.annotations[kubernetes.io/service-account.name]");
    }
  },
  validateUpdate(o, old, errors) {
    immutable(o.type, old.type, "type", errors);
    frozen(o, old, ["data"], errors);
  },
});

type ServiceAccount = Stored<V1ServiceAccount>;

/** core/v1 ServiceAccount. */
export const serviceAccount = defineKind<ServiceAccount>({
  group: "",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  type: "core.v1.ServiceAccount",
  shortNames: ["sa"],
  subresources: { token: { kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", verbs: ["create"] } },
  columns: columns("Name", "Secrets#", "Age"),
  row: (o, now) => [o.metadata.name, o.secrets?.length ?? 0, age(o.metadata.creationTimestamp, now)],
});

type Endpoints = Stored<V1Endpoints>;

/** core/v1 Endpoints. */
export const endpoints = defineKind<Endpoints>({
  group: "",
  kind: "Endpoints",
  plural: "endpoints",
  type: "core.v1.Endpoints",
  shortNames: ["ep"],
  warning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  columns: columns("Name", "Endpoints", "Age"),
  row: (o, now) => [o.metadata.name, endpointText(o), age(o.metadata.creationTimestamp, now)],
  defaults(o) {
    for (const subset of o.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= "TCP";
  },
  validate(o, errors) {
    o.subsets?.forEach((subset, i) => {
      const path = `subsets[${i}]`;
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
        errors.required(path, "must specify `addresses` or `notReadyAddresses`");
      subset.addresses?.forEach((a, j) => {
        if (!a.ip) errors.required(`${path}.addresses[${j}].ip`);
      });
    });
  },
});

function endpointText(o: Endpoints): string {
  const items = (o.subsets ?? []).flatMap((subset) => {
    const addresses = subset.addresses ?? [];
    if (!subset.ports?.length) return addresses.map((a) => a.ip);
    return subset.ports.flatMap((port) =>
      addresses.map((a) => (a.ip.includes(":") ? `[${a.ip}]:${port.port}` : `${a.ip}:${port.port}`)),
    );
  });
  return shortList(items, 3);
}

type Event = Stored<CoreV1Event>;

/** core/v1 Event. */
export const event = defineKind<Event>({
  group: "",
  kind: "Event",
  plural: "events",
  type: "core.v1.Event",
  shortNames: ["ev"],
  columns: columns(
    "Last Seen",
    "Type",
    "Reason",
    "Object",
    "+Subobject",
    "+Source",
    "Message",
    "+First Seen",
    "+Count",
    "+Name",
  ),
  row: eventRow,
  selectableFields: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  selectable: (o) => ({
    "involvedObject.kind": o.involvedObject?.kind ?? "",
    "involvedObject.namespace": o.involvedObject?.namespace ?? "",
    "involvedObject.name": o.involvedObject?.name ?? "",
    "involvedObject.uid": o.involvedObject?.uid ?? "",
    "involvedObject.apiVersion": o.involvedObject?.apiVersion ?? "",
    "involvedObject.resourceVersion": o.involvedObject?.resourceVersion ?? "",
    "involvedObject.fieldPath": o.involvedObject?.fieldPath ?? "",
    reason: o.reason ?? "",
    reportingComponent: o.reportingComponent ?? "",
    source: o.source?.component || o.reportingComponent || "",
    type: o.type ?? "",
  }),
  defaults(o) {
    o.source ??= {};
    const fields = o as unknown as Dict;
    fields.reportingComponent ??= "";
    fields.reportingInstance ??= "";
  },
  validate(o, errors) {
    const wanted = o.involvedObject?.namespace ?? "";
    if (wanted !== "" && wanted !== o.metadata.namespace) {
      errors.invalid("involvedObject.namespace", wanted, "does not match event.namespace");
    }
    if (wanted === "" && o.metadata.namespace !== "default" && o.metadata.namespace !== "kube-system") {
      errors.invalid("involvedObject.namespace", wanted, "does not match event.namespace");
    }
  },
});

function eventRow(o: Event, now: number): unknown[] {
  const fields = o as unknown as Record<string, string | undefined>;
  const first = fields.firstTimestamp ?? fields.eventTime ?? o.metadata.creationTimestamp;
  const series = o.series as { lastObservedTime?: string; count?: number } | undefined;
  const last = series?.lastObservedTime ?? fields.lastTimestamp ?? first;
  const count = series?.count ?? o.count ?? 1;
  const seen = `${age(last, now)}`;
  const target = o.involvedObject?.kind
    ? `${o.involvedObject.kind.toLowerCase()}/${o.involvedObject.name ?? ""}`
    : (o.involvedObject?.name ?? "");
  const component = o.source?.component || o.reportingComponent || "";
  const source = [component, o.source?.host].filter(Boolean).join(", ");
  return [
    seen,
    o.type ?? "",
    o.reason ?? "",
    target,
    o.involvedObject?.fieldPath ?? "",
    source,
    (o.message ?? "").trim(),
    age(first, now),
    count,
    o.metadata.name,
  ];
}

/** core/v1 ResourceQuota, stored. */
export const resourceQuota = defineKind<Stored<V1ResourceQuota>>({
  group: "",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  type: "core.v1.ResourceQuota",
  shortNames: ["quota"],
  status: true,
  generation: false,
  columns: columns("Name", "Request", "Limit", "Age"),
  row(o, now) {
    const pairs = Object.entries(o.status?.hard ?? o.spec?.hard ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const text = (limits: boolean) =>
      pairs
        .filter(([key]) => key.startsWith("limits.") === limits)
        .map(([key, hard]) => `${key}: ${o.status?.used?.[key] ?? "0"}/${hard}`)
        .join(", ");
    return [o.metadata.name, text(false), text(true), age(o.metadata.creationTimestamp, now)];
  },
});

/** core/v1 LimitRange, stored. */
export const limitRange = defineKind<Stored<V1LimitRange>>({
  group: "",
  kind: "LimitRange",
  plural: "limitranges",
  type: "core.v1.LimitRange",
  shortNames: ["limits"],
  columns: columns("Name", "Created At"),
  row: (o) => [o.metadata.name, o.metadata.creationTimestamp ?? "<unknown>"],
});
