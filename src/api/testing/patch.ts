import { type FakeObject, fail } from "./requests.ts";

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/**
 * A strategic merge patch as far as the product's clients send any: conditions are merged by their type, other lists
 * replaced. Source: SIG API Machinery's strategic-merge-patch.md.
 */
export function strategicPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return withoutDirectives(patch);
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (key === "conditions") result[key] = mergedByType(result[key], value);
    else result[key] = strategicPatch(result[key], value);
  }
  return result;
}

function mergedByType(target: unknown, patch: unknown): unknown[] {
  const merged = new Map<unknown, unknown>();
  for (const one of (target ?? []) as { type: unknown }[]) merged.set(one.type, one);
  for (const one of patch as { type: unknown }[]) merged.set(one.type, strategicPatch(merged.get(one.type), one));
  return [...merged.values()];
}

function withoutDirectives(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.filter((one) => typeof one !== "object" || one === null || !("$patch" in one));
}

/** RFC 6902: add, replace and remove of object members. */
export function jsonPatch(
  object: FakeObject,
  operations: readonly { op: string; path: string; value?: unknown }[],
): FakeObject {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const parts = path
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = parts.pop() ?? "";
    const parent = parts.reduce<Record<string, unknown>>((at, part) => at[part] as Record<string, unknown>, copy);
    if (op === "remove") delete parent[last];
    else if (op === "add" || op === "replace") parent[last] = value;
    else fail(400, "BadRequest", `the fake knows no JSON patch operation ${op}`);
  }
  return copy;
}
