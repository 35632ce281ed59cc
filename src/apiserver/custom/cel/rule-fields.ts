import type { FieldErrors } from "../../errors.ts";
import { parseJsonPath } from "../jsonpath.ts";
import type { JsonSchema, ValidationRule } from "../model.ts";
import { propertyOf } from "../prune.ts";
import { children } from "../structural.ts";
import { withoutLiterals } from "./environment.ts";

const reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
const lineBreak = /[\n\r]/;

/**
 * Validates what stands around the expressions of x-kubernetes-validations, and that oldSelf is used only where an old
 * value can be told (apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go).
 */
export function validateRuleFields(schema: JsonSchema, path: string, errors: FieldErrors, apart?: string): void {
  schema["x-kubernetes-validations"]?.forEach((rule, i) => {
    const at = `${path}.x-kubernetes-validations[${i}]`;
    validateTexts(rule, at, errors);
    validateRest(rule, schema, at, errors);
    const usesOld = /\boldSelf\b/.test(withoutLiterals(rule.rule));
    if (usesOld && apart)
      errors.invalid(
        `${at}.rule`,
        rule.rule,
        `oldSelf cannot be used on the uncorrelatable portion of the schema within ${apart}`,
      );
    if (!usesOld && rule.optionalOldSelf !== undefined)
      errors.invalid(`${at}.optionalOldSelf`, rule.optionalOldSelf, "may not be set if oldSelf is not used in rule");
  });
  for (const [below, where, level] of children(schema, path)) {
    const list = level === "item" && schema["x-kubernetes-list-type"] !== "map";
    const atomic = level === "field" && schema["x-kubernetes-map-type"] === "atomic";
    validateRuleFields(below, where, errors, apart ?? (list || atomic ? path : undefined));
  }
}

function validateTexts({ rule, message, messageExpression }: ValidationRule, at: string, errors: FieldErrors): void {
  const text = message?.trim() ?? "";
  if (rule.trim() === "") errors.required(`${at}.rule`, "rule is not specified");
  else if (message && text === "") errors.invalid(`${at}.message`, message, "message must be non-empty if specified");
  else if (lineBreak.test(text)) errors.invalid(`${at}.message`, message, "message must not contain line breaks");
  else if (lineBreak.test(rule.trim()) && text === "")
    errors.required(`${at}.message`, "message must be specified if rule contains line breaks");
  if (messageExpression && messageExpression.trim() === "")
    errors.required(`${at}.messageExpression`, "messageExpression must be non-empty if specified");
}

function validateRest(rule: ValidationRule, schema: JsonSchema, at: string, errors: FieldErrors): void {
  const { reason, fieldPath } = rule;
  if (reason !== undefined && !reasons.includes(reason)) errors.unsupported(`${at}.reason`, reason, reasons);
  if (!fieldPath) return;
  if (fieldPath.trim() === "") errors.invalid(`${at}.fieldPath`, fieldPath, "fieldPath must be non-empty if specified");
  if (lineBreak.test(fieldPath)) errors.invalid(`${at}.fieldPath`, fieldPath, "fieldPath must not contain line breaks");
  if (!leads(schema, fieldPath)) errors.invalid(`${at}.fieldPath`, fieldPath, "fieldPath must be a valid path");
}

/** Whether a path leads to a field of a schema. */
function leads(schema: JsonSchema, path: string): boolean {
  try {
    let at: JsonSchema | undefined = schema;
    for (const name of parseJsonPath(path).fields ?? [""]) {
      const below: JsonSchema | boolean | undefined = propertyOf(at, name) ?? at.additionalProperties;
      at = typeof below === "object" ? below : undefined;
      if (!at) return false;
    }
    return true;
  } catch {
    return false;
  }
}
