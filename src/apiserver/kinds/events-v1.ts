import type { StoredObject } from "../object.ts";
import { event } from "./core.ts";
import type { Kind } from "./definition.ts";

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
  fromStored: (object) => rename(object, toV1, "events.k8s.io/v1"),
  toStored: (object) => rename(object, toCore, "v1"),
};
