import type { FieldErrors } from "../errors.ts";
import type { Dict } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { validateRuleFields } from "./cel/rule-fields.ts";
import { validateDefaults } from "./default-rules.ts";
import { parseJsonPath } from "./jsonpath.ts";
import type { CrdColumn, CrdVersion, JsonSchema } from "./model.ts";
import { propertyOf } from "./prune.ts";
import { validateForm, validateStructural } from "./structural.ts";

/** Validation of a definition's versions: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go. */

/** What may stand at the root beside a status subresource, by Go's names of the fields. */
const rootFields =
  "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";
const goNames: Readonly<Record<string, string>> = {
  "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
  "x-kubernetes-validations": "XValidations",
};

function validateRoot(schema: Dict, status: boolean, path: string, errors: FieldErrors): void {
  if (schema.nullable) errors.forbidden(`${path}.nullable`, "nullable cannot be true at the root");
  const allowed = rootFields.split(" ");
  const names = Object.keys(schema).map((key) => goNames[key] ?? key.charAt(0).toUpperCase() + key.slice(1));
  if (status && names.some((name) => !allowed.includes(name)))
    errors.invalid(
      path,
      schema,
      `only [${rootFields}] fields are allowed at the root of the schema if the status subresource is enabled`,
    );
}

/** Validates one of spec.versions. */
export function validateVersion(version: CrdVersion, path: string, errors: FieldErrors, types: Schema): void {
  const schema = version.schema?.openAPIV3Schema;
  const at = `${path}.schema.openAPIV3Schema`;
  validateDeprecation(version, path, errors);
  if (!schema) errors.required(at, "schemas are required");
  else {
    const before = errors.causes.length;
    validateStructural(schema, at, errors);
    if (errors.causes.length === before) validateDefaults(types, schema, at, errors);
    validateRoot(schema as Dict, version.subresources?.status !== undefined, at, errors);
    validateForm(schema, at, errors);
    validateRuleFields(schema, at, errors);
  }
  validateScale(version, `${path}.subresources.scale`, errors);
  version.additionalPrinterColumns?.forEach((column, i) => {
    validateColumn(column, `${path}.additionalPrinterColumns[${i}]`, errors);
  });
  validateSelectable(version, `${path}.selectableFields`, errors);
}

function validateDeprecation(version: CrdVersion, path: string, errors: FieldErrors): void {
  const { deprecated, deprecationWarning: text } = version;
  const at = `${path}.deprecationWarning`;
  if (text === undefined) return;
  if (!deprecated) errors.invalid(at, text, "can only be set for deprecated versions");
  if (text === "") errors.invalid(at, text, "must not be empty");
  if (Buffer.byteLength(text) > 256) errors.invalid(at, text, "must be <= 256 characters long");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) errors.invalid(at, text, "must only contain printable UTF-8 characters");
}

function validateScale(version: CrdVersion, path: string, errors: FieldErrors): void {
  const scale = version.subresources?.scale;
  if (!scale) return;
  const check = (field: keyof typeof scale, roots: readonly string[], needed: boolean) => {
    const value = scale[field] ?? "";
    const names = `${roots.length > 1 ? "either " : ""}${roots.map((r) => `.${r}`).join(" or ")}`;
    if (value === "") {
      if (needed) errors.required(`${path}.${field}`);
    } else if (!plainPath(value)) errors.invalid(`${path}.${field}`, value, "must be a json path in the dot notation");
    else if (!roots.some((root) => value.startsWith(`.${root}.`)))
      errors.invalid(`${path}.${field}`, value, `should be a json path under ${names}`);
  };
  check("specReplicasPath", ["spec"], true);
  check("statusReplicasPath", ["status"], true);
  check("labelSelectorPath", ["spec", "status"], false);
}

/** The names of a path's fields when it is a plain one that begins with a dot. */
function plainPath(path: string): readonly string[] | undefined {
  try {
    return path.startsWith(".") ? parseJsonPath(path).fields : undefined;
  } catch {
    return undefined;
  }
}

const columnTypes = ["boolean", "date", "integer", "number", "string"];
const columnFormats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

function validateColumn(column: CrdColumn, path: string, errors: FieldErrors): void {
  const { name, type, format, jsonPath } = column;
  if (!name) errors.required(`${path}.name`);
  if (!type) errors.required(`${path}.type`, `must be one of ${columnTypes.join(",")}`);
  else if (!columnTypes.includes(type)) errors.invalid(`${path}.type`, type, `must be one of ${columnTypes.join(",")}`);
  if (format && !columnFormats.includes(format))
    errors.invalid(`${path}.format`, format, `must be one of ${columnFormats.join(",")}`);
  if (!jsonPath) errors.required(`${path}.jsonPath`);
  else validateSimplePath(jsonPath, `${path}.jsonPath`, errors);
}

function validateSimplePath(jsonPath: string, path: string, errors: FieldErrors): void {
  if (!jsonPath.startsWith(".")) {
    errors.invalid(path, jsonPath, "must be a simple json path starting with .");
    return;
  }
  try {
    parseJsonPath(jsonPath);
  } catch (error) {
    errors.invalid(path, jsonPath, `is an invalid path: ${(error as Error).message}`);
  }
}

function validateSelectable(version: CrdVersion, path: string, errors: FieldErrors): void {
  const fields = version.selectableFields ?? [];
  if (fields.length > 8) errors.tooMany(path, fields.length, 8);
  const seen = new Set<string>();
  fields.forEach(({ jsonPath }, i) => {
    const at = `${path}[${i}].jsonPath`;
    if (!jsonPath) errors.required(at);
    else if (seen.has(jsonPath)) errors.duplicate(at, jsonPath);
    else {
      const names = plainPath(jsonPath);
      const root: JsonSchema | undefined = version.schema?.openAPIV3Schema;
      const schema = names?.reduce((at: JsonSchema | undefined, name) => at && propertyOf(at, name), root);
      if (!names) errors.invalid(at, jsonPath, "is an invalid path: does not start with .");
      else if (names[0] === "metadata") errors.invalid(at, jsonPath, "must not point to fields in metadata");
      else if (!["string", "boolean", "integer"].includes(schema?.type ?? ""))
        errors.invalid(
          at,
          jsonPath,
          schema
            ? "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
            : "is an invalid path: does not refer to a valid field",
        );
    }
    seen.add(jsonPath);
  });
}
