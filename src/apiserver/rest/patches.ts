import { badRequest, type StatusError, unsupportedMediaType } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { type Dict, isDict, type StoredObject } from "../object.ts";
import { applyJsonPatch } from "../patch/json-patch.ts";
import { goJson } from "../patch/last-applied.ts";
import { applyMergePatch } from "../patch/merge-patch.ts";
import { applyStrategicPatch } from "../patch/strategic.ts";
import { goValue } from "../patch/typed-validate.ts";
import type { Schema } from "../schema/schema.ts";
import { checkPatched, type Expected, type Strictness } from "./body.ts";
import type { Call } from "./call.ts";
import { JsonSyntaxError, readJson } from "./go-json.ts";

/** Media types of patches, by the short names of their mechanisms. */
const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

/** How a patch changes an object. */
export type PatchType = keyof typeof patchTypes;

/** The mechanism that the Content-Type names. Throws StatusError 415. */
export function patchTypeOf(call: Call, kind: Kind): PatchType {
  const type = call.headers["content-type"]?.split(";")[0]?.trim() ?? "";
  // How custom objects merge strategically nothing says.
  const taken = Object.entries(patchTypes).filter(([name]) => !kind.custom || name !== "strategic");
  for (const [name, mediaType] of taken) if (type === mediaType) return name as PatchType;
  throw unsupportedMediaType(taken.map(([, mediaType]) => mediaType));
}

/** A patch that is no server-side apply, ready to be applied any number of times. */
export interface Patch {
  /** What the patch makes of an object, in the form of its type. Throws StatusError 400, 413, 422. */
  apply(old: StoredObject): Dict;
}

/** Reads a patch's body. Throws StatusError 400. */
export function readPatch(
  type: Exclude<PatchType, "apply">,
  body: Buffer,
  expected: Expected,
  strictness: Strictness,
): Patch {
  const { value: patch, faults } = parsePatch(type, body);
  if (type === "strategic" && !isDict(patch)) throw notA(patch, "map[string]interface {}", "");
  if (type === "merge" && !isDict(patch)) throw notA(patch, "map[string]interface {}", "error decoding patch: ");
  if (type === "json" && !Array.isArray(patch)) throw notA(patch, "[]handlers.jsonPatchOp", "error decoding patch: ");
  const { schema } = expected;
  return {
    apply(old) {
      const value = patched(schema, type, expected.type, old, patch);
      // Only where it is refused: sorting every field of the object takes a seventh of an update's time.
      const shown = () => (type === "strategic" ? goValue(patch) : goJson(value));
      const dialect = type === "strategic" ? "converter" : "json";
      return checkPatched({ value, shown, faults, dialect }, expected, strictness);
    },
  };
}

function parsePatch(type: PatchType, body: Buffer): { value: unknown; faults: readonly string[] } {
  try {
    const { value, duplicates } = readJson(body);
    const prefix = type === "json" ? "json patch " : "";
    return { value, faults: duplicates.map((path) => `${prefix}duplicate field "${path}"`) };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw badRequest(`${type === "strategic" ? "" : "error decoding patch: "}${error.message}`);
  }
}

function notA(value: unknown, type: string, prefix: string): StatusError {
  const name = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  return badRequest(`${prefix}json: cannot unmarshal ${name} into Go value of type ${type}`);
}

function patched(schema: Schema, type: PatchType, kindType: string, old: StoredObject, patch: unknown): unknown {
  switch (type) {
    case "json":
      return applyJsonPatch(old, patch);
    case "merge":
      return applyMergePatch(old, patch);
    default:
      return applyStrategicPatch(schema, kindType, old as Dict, patch as Dict);
  }
}
