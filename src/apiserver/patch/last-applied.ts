import { type Dict, isDict, type StoredObject, setField } from "../object.ts";
import { compare } from "./compare.ts";
import { difference, isEmpty } from "./field-set.ts";
import { fieldsOf } from "./typed.ts";
import { ApplyConflict, type Ground } from "./updater.ts";

/**
 * The way from client-side to server-side apply: what kubectl noted in its annotation it may take over without a
 * conflict, and the annotation follows what it applies.
 * Source: k8s.io/apimachinery/pkg/util/managedfields/internal/lastapplied*.go.
 */

const annotation = "kubectl.kubernetes.io/last-applied-configuration";

/** Only this manager's applies look at the annotation. */
export const annotatedManager = "kubectl";

function lastAppliedOf(object: Dict): string {
  const { annotations } = (object.metadata ?? {}) as { annotations?: Record<string, string> };
  return annotations?.[annotation] ?? "";
}

/**
 * What is left of a conflict when fields that the live object still has as kubectl applied them do not count;
 * undefined when nothing is.
 */
export function remainingConflict(
  ground: Ground,
  live: StoredObject,
  conflict: ApplyConflict,
  apiVersion: string,
): ApplyConflict | undefined {
  const applied = parsed(lastAppliedOf(live));
  if (!applied || applied.apiVersion !== apiVersion) return conflict;
  const { schema, root } = ground;
  const { changed, removed } = compare(schema, applied, live, root);
  const allowed = difference(difference(fieldsOf(schema, applied, root), changed), removed);
  const rest = new Map([...conflict.conflicts].map(([id, fields]) => [id, difference(fields, allowed)] as const));
  for (const [id, fields] of rest) if (isEmpty(fields)) rest.delete(id);
  return rest.size === 0 ? undefined : new ApplyConflict(rest);
}

function parsed(text: string): Dict | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return isDict(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a configuration into the annotation of an object that has it. Changes `object`. */
export function followAnnotation(object: Dict, configuration: Dict): void {
  if (lastAppliedOf(object) === "") return;
  const metadata = { ...(object.metadata as Dict) };
  const annotations = { ...(metadata.annotations as Dict) };
  annotations[annotation] = `${goJson(withoutAnnotation(configuration))}\n`;
  object.metadata = { ...metadata, annotations };
}

function withoutAnnotation(configuration: Dict): Dict {
  if (lastAppliedOf(configuration) === "") return configuration;
  const metadata = { ...(configuration.metadata as Dict) };
  const { [annotation]: _, ...annotations } = metadata.annotations as Dict;
  return { ...configuration, metadata: { ...metadata, annotations } };
}

/** JSON as Go's encoder writes it: keys in order, `<`, `>` and `&` escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(inOrder(value)).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isDict(value)) return value;
  const out: Dict = {};
  for (const key of Object.keys(value).sort()) setField(out, key, inOrder(value[key]));
  return out;
}
