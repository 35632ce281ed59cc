import { cloneJson, type Dict, type FieldSet, isDict, setField } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { type Child, children, isEmpty, type Node } from "./field-set.ts";

/** Merges an applied configuration into a live value: keyed lists item by item, sets as unions, the rest by field. */
export function mergeApplied(schema: Schema, live: unknown, applied: unknown, node: Node): unknown {
  const wanted = children(schema, applied, node);
  const present = children(schema, live, node);
  if (!wanted || !present) return cloneJson(applied);
  if (Array.isArray(applied)) {
    const next = new Map(wanted.map((c) => [c.element, c]));
    const out = present.map((c) => {
      const match = next.get(c.element);
      next.delete(c.element);
      return match ? mergeApplied(schema, c.value, match.value, match.node) : c.value;
    });
    return [...out, ...[...next.values()].map((c) => cloneJson(c.value))];
  }
  const out: Dict = { ...(live as Dict) };
  for (const child of wanted) {
    const key = child.element.slice(2);
    setField(out, key, mergeApplied(schema, out[key], child.value, child.node));
  }
  return out;
}

/**
 * Removes from a value what `owned` has and `kept` has not. A structure goes with its last field, unless it holds
 * something that nobody owns (a default).
 */
export function prune(schema: Schema, value: unknown, owned: FieldSet, kept: FieldSet, node: Node): unknown {
  const parts = children(schema, value, node);
  if (!parts) return value;
  const left: Child[] = [];
  for (const child of parts) {
    const mine = owned[child.element];
    if (!mine) {
      left.push(child);
      continue;
    }
    const others = kept[child.element];
    const below = children(schema, child.value, child.node);
    if (!below) {
      if (others) left.push(child);
      continue;
    }
    // A list item that nobody names any more goes whole, defaults and all.
    if (!others && child.element.startsWith("k:")) continue;
    const rest = prune(schema, child.value, mine, others ?? {}, child.node);
    const empty = Array.isArray(rest) ? rest.length === 0 : isDict(rest) && isEmpty(rest as FieldSet);
    if (!empty || others) left.push({ ...child, value: rest });
  }
  if (Array.isArray(value)) return left.map((c) => c.value);
  const out: Dict = {};
  for (const child of left) setField(out, child.element.slice(2), child.value);
  return out;
}
