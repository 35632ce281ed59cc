import type { CoreV1Event } from "@kubernetes/client-node";
import type { Dict, StoredObject } from "../object.ts";
import { columns, defineKind } from "./define.ts";
import type { Kind, Stored } from "./definition.ts";
import { age } from "./print.ts";

type Event = Stored<CoreV1Event>;

/** core/v1 Event. */
export const event = defineKind<Event>({
  group: "",
  kind: "Event",
  plural: "events",
  type: "core.v1.Event",
  createOnUpdate: true,
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
  const kind = (o.involvedObject?.kind ?? "").toLowerCase();
  const target = o.involvedObject?.name ? `${kind}/${o.involvedObject.name}` : kind;
  const component = o.source?.component || o.reportingComponent || "";
  const source = [component, o.source?.host || fields.reportingInstance].filter(Boolean).join(", ");
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

/** Fields of a core/v1 Event and what events.k8s.io/v1 calls them. */
const renamed: readonly (readonly [string, string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
  ["reportingComponent", "reportingController"],
];

function rename(object: StoredObject, names: ReadonlyMap<string, string>, apiVersion: string): StoredObject {
  const out: StoredObject = { ...object };
  for (const [from] of names) delete out[from];
  for (const [from, to] of names) if (object[from] !== undefined) out[to] = object[from];
  out.apiVersion = apiVersion;
  return out;
}

const toV1 = new Map(renamed);
const toCore = new Map(renamed.map(([core, v1]) => [v1, core] as const));

/** events.k8s.io/v1 Event: the same stored objects as core/v1 Event under other field names. */
export const eventV1: Kind = {
  ...event,
  group: "events.k8s.io",
  type: "events.v1.Event",
  storage: "events",
  row: (object, now) => event.row(rename(object, toCore, "v1"), now),
  fromStored: (object) => rename(object, toV1, "events.k8s.io/v1"),
  toStored: (object) => rename(object, toCore, "v1"),
};
