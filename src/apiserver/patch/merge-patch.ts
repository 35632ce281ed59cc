import { cloneJson, type Dict, isDict, setField } from "../object.ts";

/** Applies a JSON merge patch (RFC 7386) and returns a new value. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isDict(patch)) return cloneJson(patch);
  const out: Dict = isDict(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) delete out[key];
    else setField(out, key, applyMergePatch(Object.hasOwn(out, key) ? out[key] : undefined, patch[key]));
  }
  return out;
}
