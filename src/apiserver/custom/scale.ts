import type { FieldErrors } from "../errors.ts";
import type { ScaleRules } from "../kinds/definition.ts";
import { type Dict, isDict, setField } from "../object.ts";
import { parseJsonPath } from "./jsonpath.ts";
import type { CrdScale } from "./model.ts";

/** The scale subresource of custom objects (apiextensions-apiserver pkg/registry/customresource/etcd.go). */
export function customScale(scale: CrdScale): ScaleRules {
  const replicas = parseJsonPath(scale.specReplicasPath);
  const current = parseJsonPath(scale.statusReplicasPath);
  const selector = scale.labelSelectorPath ? parseJsonPath(scale.labelSelectorPath) : undefined;
  const number = (value: unknown) => (typeof value === "number" ? value : undefined);
  return {
    selector: (object) => {
      const text = selector?.find(object)[0];
      return typeof text === "string" ? text : "";
    },
    custom: {
      path: scale.specReplicasPath,
      fields: replicas.fields ?? [],
      replicas: (object) => number(replicas.find(object)[0]),
      current: (object) => number(current.find(object)[0]),
      withReplicas: (object, count) => withField(object, replicas.fields ?? [], count) as Dict,
    },
  };
}

/** A copy of a value with one field set. */
function withField(value: unknown, fields: readonly string[], to: unknown): unknown {
  const [first, ...rest] = fields;
  if (first === undefined) return to;
  const copy: Dict = isDict(value) ? { ...value } : {};
  setField(copy, first, withField(copy[first], rest, to));
  return copy;
}

/** Validates the fields that the scale subresource reads. */
export function validateScalePaths(scale: CrdScale, object: Dict, errors: FieldErrors): void {
  for (const path of [scale.specReplicasPath, scale.statusReplicasPath]) {
    const value = parseJsonPath(path).find(object)[0];
    const field = path.replace(/^\./, "");
    if (value === undefined || value === null) continue;
    if (!Number.isInteger(value))
      errors.invalid(
        field,
        "<value>",
        `${path} accessor error: ${goValue(value)} is of the type ${goType(value)}, expected int64`,
      );
    else if ((value as number) < 0) errors.invalid(field, value, "should be a non-negative integer");
    else if ((value as number) > 2147483647) errors.invalid(field, value, "should be less than or equal to 2147483647");
  }
  if (!scale.labelSelectorPath) return;
  const selector = parseJsonPath(scale.labelSelectorPath).find(object)[0];
  if (selector !== undefined && typeof selector !== "string")
    errors.invalid(
      scale.labelSelectorPath.replace(/^\./, ""),
      "<value>",
      `${scale.labelSelectorPath} accessor error: ${goValue(selector)} is of the type ${goType(selector)}, expected string`,
    );
}

const goValue = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function goType(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isDict(value)) return "map[string]interface {}";
  return typeof value === "number" ? "float64" : typeof value === "boolean" ? "bool" : typeof value;
}
