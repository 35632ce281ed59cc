import type { Dict, FieldSet } from "../object.ts";

/**
 * Sets of fields in FieldsV1 form: which fields of an object somebody owns.
 * A path element is `f:<field>`, `k:<keys of a list item as JSON>` or `v:<value of a set>`; an empty set is a leaf that
 * is a member; `.` in a set says that the element itself is a member beside what is below it.
 * Source: sigs.k8s.io/structured-merge-diff v6, fieldpath.
 */

/** Whether a set has no members at all (not to be mixed up with a leaf inside another set). */
export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Whether an element is a member itself, by the set that stands under it. */
export function isMember(set: FieldSet): boolean {
  return isEmpty(set) || "." in set;
}

/** Puts what is below an element under it; nothing where neither the element nor anything below is a member. */
export function place(out: FieldSet, element: string, below: FieldSet, member: boolean): void {
  if (isEmpty(below)) {
    if (member) out[element] = {};
  } else if (member) out[element] = { ".": {}, ...below };
  else out[element] = below;
}

/** What stands below an element, without its own membership. */
function below(set: FieldSet): FieldSet {
  if (!("." in set)) return set;
  const { ".": _, ...rest } = set;
  return rest;
}

/** Members of either. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b;
  const out: FieldSet = { ...a };
  for (const element in b) {
    const theirs = b[element] as FieldSet;
    const mine = out[element];
    if (!mine) out[element] = theirs;
    else place(out, element, union(below(mine), below(theirs)), isMember(mine) || isMember(theirs));
  }
  return out;
}

/** Members of a that are not members of b. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  // Mostly: what a kubelet writes is nothing that the pod's creator owns. Who gets the same set back is spared its text.
  if (!Object.keys(b).some((element) => Object.hasOwn(a, element))) return a;
  const out: FieldSet = {};
  for (const element in a) {
    const mine = a[element] as FieldSet;
    const theirs = b[element];
    if (!theirs) out[element] = mine;
    else place(out, element, difference(below(mine), below(theirs)), isMember(mine) && !isMember(theirs));
  }
  return out;
}

/** Members of both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const element in a) {
    const mine = a[element] as FieldSet;
    const theirs = b[element];
    if (theirs) place(out, element, intersection(below(mine), below(theirs)), isMember(mine) && isMember(theirs));
  }
  return out;
}

/** A set as it is written: its elements in order, `.` first. */
export function setText(set: FieldSet): string {
  const elements = Object.keys(set);
  if (elements.length > 1) elements.sort(compareElements);
  return `{${elements.map((e) => `${JSON.stringify(e)}:${setText(set[e] as FieldSet)}`).join(",")}}`;
}

/** The order of path elements: fields, keys, values; keys field by field, numbers as numbers. */
export function compareElements(a: string, b: string): number {
  if (!a.startsWith("k:") || !b.startsWith("k:")) return compareScalars(a, b);
  const [x, y] = [a, b].map((element) => Object.entries(JSON.parse(element.slice(2)) as Dict)) as [Entries, Entries];
  for (const [i, [name, value]] of x.entries()) {
    const other = y[i];
    if (!other) return 1;
    const order = compareScalars(name, other[0]) || compareScalars(value, other[1]);
    if (order !== 0) return order;
  }
  return x.length - y.length;
}

type Entries = [string, unknown][];

function compareScalars(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/**
 * Paths of all members, in the notation and order of conflict messages: `.spec.ports[port=80,protocol="TCP"].name`;
 * the members of a level come before what is below them.
 */
export function paths(set: FieldSet, prefix = ""): string[] {
  const elements = Object.keys(set)
    .filter((element) => element !== ".")
    .sort(compareElements);
  const own = elements.filter((e) => isMember(set[e] as FieldSet)).map((e) => prefix + readableElement(e));
  return [...own, ...elements.flatMap((e) => paths(set[e] as FieldSet, prefix + readableElement(e)))];
}

/** A path element as it is shown to people: `.name`, `[name="a"]`, `[="x"]`. */
export function readableElement(element: string): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  const keys = JSON.parse(rest) as Dict;
  return `[${Object.entries(keys)
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(",")}]`;
}

/** Whether text is a path element. */
function isElement(text: string): boolean {
  if (text === "." || text.startsWith("f:")) return true;
  if (!/^[kvi]:/.test(text)) return false;
  try {
    const value = JSON.parse(text.slice(2)) as unknown;
    return !text.startsWith("k:") || (typeof value === "object" && value !== null && !Array.isArray(value));
  } catch {
    return false;
  }
}

/** Whether a value from outside is a set in FieldsV1 form. */
export function isFieldSet(value: unknown): value is FieldSet {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([element, inner]) => isElement(element) && isFieldSet(inner));
}
