import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cloneJson, type Dict, isDict, type StoredObject } from "../object.ts";
import { decodeObject } from "../schema/decode.ts";
import { Schema } from "../schema/schema.ts";
import { applyConfiguration, trackUpdate } from "./managed-fields.ts";
import { SharedSets } from "./shared-sets.ts";
import { validateConfiguration } from "./typed-validate.ts";

/**
 * What Kubernetes' own field manager (k8s.io/apimachinery v0.36.6 over client-go's types) made of sequences of writes,
 * recorded from it: one sequence a line of testing/upstream.jsonl. `managers` are `manager operation fieldsV1`, with
 * `untimed` where an entry has no time.
 */
interface Step {
  readonly op: "update" | "apply" | "bare";
  readonly manager: string;
  readonly force?: boolean;
  readonly next: Dict;
  readonly error?: string;
  readonly object?: Dict;
  readonly managers?: readonly string[];
}
interface Sequence {
  readonly title: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly steps: readonly Step[];
}

const sequences = readFileSync(new URL("testing/upstream.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Sequence);
const schema = new Schema();
const sets = new SharedSets();

/** Without empty structures, which Go writes where they are no pointers. */
function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (!isDict(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, strip(inner)] as const);
  return Object.fromEntries(entries.filter(([, inner]) => !isDict(inner) || Object.keys(inner).length > 0));
}

function run(sequence: Sequence, live: StoredObject | undefined, step: Step): StoredObject {
  const { apiVersion, kind } = sequence;
  const type = `${apiVersion === "v1" ? "core.v1" : apiVersion.replace("/", ".")}.${kind}`;
  const next = { apiVersion, kind, ...cloneJson(step.next) } as unknown as StoredObject;
  const decode = (value: unknown) => ({ ...decodeObject(schema, type, value, []), apiVersion, kind }) as StoredObject;
  if (step.op === "bare") return next;
  const statusApart = kind !== "ConfigMap";
  const owner = { manager: step.manager, apiVersion, subresource: "", now: "2026-01-01T00:00:00Z", statusApart, sets };
  if (step.op === "update") {
    const object = decode(next);
    trackUpdate(schema, type, live, object, owner);
    return object;
  }
  validateConfiguration(schema, type, next as unknown as Dict);
  const applied = applyConfiguration(schema, type, live, next as unknown as Dict, owner, step.force === true);
  const object = decode(applied.object);
  applied.finish(object);
  return object;
}

const managersOf = (object: StoredObject) =>
  (object.metadata.managedFields ?? [])
    .map((e) => `${e.manager} ${e.operation}${e.time ? "" : " untimed"} ${JSON.stringify(e.fieldsV1)}`)
    .sort();

describe("server-side apply as Kubernetes' own field manager does it", () => {
  it.each(sequences)("$title", (sequence) => {
    let live: StoredObject | undefined;
    for (const step of sequence.steps) {
      if (step.error !== undefined) {
        expect(() => run(sequence, live, step)).toThrow(expect.objectContaining({ message: step.error }));
        continue;
      }
      live = run(sequence, live, step);
      if (step.managers) expect(managersOf(live)).toEqual(step.managers);
      if (!step.object) continue;
      const { apiVersion: _a, kind: _k, metadata, ...rest } = live;
      const { managedFields: _m, ...meta } = metadata;
      expect(strip({ ...rest, metadata: meta })).toEqual(step.object);
    }
  });
});
