import { matchesRequirements, parseFieldSelector, parseSelector } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { badRequest } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import type { RequestInfo } from "./request-info.ts";

/** Which objects a list, watch or deletecollection is about. */
export interface Selection {
  /** Empty: all namespaces. */
  readonly namespace: string;
  /** Set for requests about a single name. */
  readonly name: string;
  /** No selector at all: every object in the namespace matches. */
  readonly everything: boolean;
  matches(object: StoredObject): boolean;
}

/** Reads labelSelector and fieldSelector. Throws StatusError 400 for what cannot be parsed or is not selectable. */
export function selectionOf(kind: Kind, info: RequestInfo): Selection {
  const labels = info.query.get("labelSelector") ?? "";
  const fields = info.query.get("fieldSelector") ?? "";
  try {
    const requirements = labels ? parseSelector(labels) : [];
    const comparisons = fields ? parseFieldSelector(fields) : [];
    const known = new Set(["metadata.name", "metadata.namespace", ...kind.selectableFields]);
    for (const { field } of comparisons) {
      if (!known.has(field))
        throw badRequest(
          kind.selectableFields.length > 0
            ? `field label not supported: ${field}`
            : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
        );
    }
    const byName = comparisons.find((c) => c.field === "metadata.name" && c.equal)?.value ?? "";
    // A second name stays a comparison: nothing has two.
    const others = comparisons.filter((c) => !(c.field === "metadata.name" && c.equal && c.value === byName));
    const matches = (object: StoredObject) => {
      if (byName && object.metadata.name !== byName) return false;
      if (!matchesRequirements(requirements, object.metadata.labels)) return false;
      if (others.length === 0) return true;
      const values = kind.selectable(object);
      return others.every(({ field, value, equal }) => (fieldValue(object, values, field) === value) === equal);
    };
    const name = info.name || byName;
    return { namespace: info.namespace, name, everything: requirements.length === 0 && others.length === 0, matches };
  } catch (error) {
    if (error instanceof Error && "reason" in error) throw error;
    throw badRequest(errorMessage(error));
  }
}

function fieldValue(object: StoredObject, values: Readonly<Record<string, string>>, field: string): string {
  if (field === "metadata.name") return object.metadata.name;
  if (field === "metadata.namespace") return object.metadata.namespace ?? "";
  return values[field] ?? "";
}
