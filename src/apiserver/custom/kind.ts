import { equalJson } from "#base/json.ts";
import { type TimeLimit, TimeLimitError } from "#base/timeLimit.ts";
import { FieldErrors } from "../errors.ts";
import { defineKind } from "../kinds/define.ts";
import type { Kind, ScaleRules, SubresourceInfo, WriteContext } from "../kinds/definition.ts";
import { type Dict, isDict, type StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { RuleEvaluation } from "./cel/evaluate.ts";
import { type CompiledRules, compileRules } from "./cel/rules.ts";
import { customTable } from "./columns.ts";
import { validateEmbedded } from "./embedded.ts";
import { parseJsonPath } from "./jsonpath.ts";
import { validateListTypes } from "./list-types.ts";
import type { Crd, CrdVersion, JsonSchema } from "./model.ts";
import { applyDefaults, pruneObject } from "./prune.ts";
import { customScale, validateScalePaths } from "./scale.ts";
import { SchemaValidator } from "./validate.ts";

/** The verbs of custom objects, in upstream's order of discovery. */
const customVerbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const subresourceVerbs = ["get", "patch", "update"];

/** What kinds of custom objects are made with. */
export interface CustomDeps {
  readonly schema: Schema;
  /** Aborted when the definition changes or goes: watches end. */
  readonly retired: AbortSignal;
  /** Whether the definition is being deleted. */
  terminating(): boolean;
  /** How long an object's patterns and rules may take. */
  readonly limit: TimeLimit;
}

/** The name of a kind in the table of structures and, without the prefix, in OpenAPI documents. */
export function customTypeName(group: string, version: string, kind: string): string {
  return `custom/${[...group.split(".").reverse(), version, kind].join(".")}`;
}

/** The kind of one served version of a definition whose names are accepted. */
export function customKind(crd: Crd, version: CrdVersion, deps: CustomDeps): Kind {
  const { group, versions } = crd.spec;
  const schema = version.schema?.openAPIV3Schema ?? {};
  const storage = versions.find((v) => v.storage)?.name ?? version.name;
  const table = customTable(version.additionalPrinterColumns);
  const conversion = new Conversion(`${group}/${version.name}`, schema, deps.schema);
  // Made for the first object: a server that starts again serves all definitions at once.
  let compiled: CompiledRules | undefined;
  const rules = () => (compiled ??= compileRules(schema, ""));
  const scale = version.subresources?.scale ? customScale(version.subresources.scale) : undefined;
  return {
    ...namedKind(crd, version),
    ...selectableOf(version),
    status: version.subresources?.status !== undefined,
    generation: true,
    unconditionalUpdate: false,
    scale,
    subresources: subresourcesOf(scale),
    columns: table.columns,
    row: table.row,
    decode: (types, value, unknown) => pruneObject({ schema: types, unknown }, schema, value),
    defaults: (object) => applyDefaults(schema, object),
    validate: (object, errors, context) => {
      const judged = { version, schema, rules };
      try {
        deps.limit.run(() => validateCustom(judged, object, errors, context));
      } catch (error) {
        if (!(error instanceof TimeLimitError)) throw error;
        errors.forbidden("<nil>", `validation ${error.message}: its patterns or rules cost too much`);
      }
    },
    fromStored: (object) => conversion.read(object),
    toStored: (object) => conversion.write(object, `${group}/${storage}`),
    custom: {
      schema: schema as Dict,
      retired: deps.retired,
      refusal: refusalOf(crd, version),
      terminating: deps.terminating,
    },
  };
}

/** What a kind is called, and what is ordinary of it. */
function namedKind(crd: Crd, version: CrdVersion): Kind {
  const { group, scope } = crd.spec;
  const names = crd.status?.acceptedNames ?? crd.spec.names;
  const { kind, plural } = names;
  const type = customTypeName(group, version.name, kind);
  const ordinary = defineKind<StoredObject>({ group, version: version.name, kind, plural, type });
  const warning = warningOf(version, `${group}/${version.name}`, kind);
  return {
    ...ordinary,
    listKind: names.listKind ?? ordinary.listKind,
    singular: names.singular ?? ordinary.singular,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: scope === "Namespaced",
    verbs: customVerbs,
    warning,
  };
}

function selectableOf(version: CrdVersion): Pick<Kind, "selectable" | "selectableFields"> {
  const fields = (version.selectableFields ?? []).map(({ jsonPath }) => ({
    name: jsonPath.replace(/^\./, ""),
    path: parseJsonPath(jsonPath),
  }));
  return {
    selectable: (object) => Object.fromEntries(fields.map(({ name, path }) => [name, textOf(path.find(object)[0])])),
    selectableFields: fields.map(({ name }) => name),
  };
}

function subresourcesOf(scale: ScaleRules | undefined): Readonly<Record<string, SubresourceInfo>> {
  return scale ? { scale: { kind: "Scale", group: "autoscaling", version: "v1", verbs: subresourceVerbs } } : {};
}

function warningOf(version: CrdVersion, apiVersion: string, kind: string): string | undefined {
  if (!version.deprecated) return undefined;
  return version.deprecationWarning ?? `${apiVersion} ${kind} is deprecated`;
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

/** Turns objects into the version of a kind and back, under the strategy None. */
class Conversion {
  readonly #apiVersion: string;
  readonly #schema: JsonSchema;
  readonly #types: Schema;
  /** Stored objects as this version shows them; they never change, and go with the stored ones. */
  readonly #shown = new WeakMap<StoredObject, StoredObject>();

  constructor(apiVersion: string, schema: JsonSchema, types: Schema) {
    this.#apiVersion = apiVersion;
    this.#schema = schema;
    this.#types = types;
  }

  /** A stored object in this version, without what the schema does not know (any more), with its defaults. */
  read(stored: StoredObject): StoredObject {
    const known = this.#shown.get(stored);
    if (known) return known;
    const { metadata, ...fields } = stored;
    // What defaults are set in has been copied by pruning.
    const copy = pruneObject({ schema: this.#types, unknown: [] }, this.#schema, fields);
    applyDefaults(this.#schema, copy);
    const { apiVersion: _a, kind: _k, ...rest } = copy;
    const object: StoredObject = { apiVersion: this.#apiVersion, kind: stored.kind, metadata, ...rest };
    const shown = equalJson(object, stored) ? stored : object;
    this.#shown.set(stored, shown);
    return shown;
  }

  /** An object of this version in the version that is stored. */
  write(object: StoredObject, apiVersion: string): StoredObject {
    return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
  }
}

/** Why a version cannot be served: objects would have to be converted by a webhook. */
function refusalOf(crd: Crd, version: CrdVersion): string | undefined {
  const stored = crd.status?.storedVersions ?? [];
  if (crd.spec.conversion?.strategy !== "Webhook" || (version.storage && stored.length <= 1)) return undefined;
  return `conversion between ${[...new Set([...stored, version.name])].join(" and ")} of ${crd.metadata.name} needs the definition's conversion webhook, which this server does not call: use the stored version, or the conversion strategy None`;
}

interface Judged {
  readonly version: CrdVersion;
  readonly schema: JsonSchema;
  rules(): CompiledRules;
}

/** Reasons after which rules are not looked at: they could stumble over what is wrong. */
const blocking = new Set([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

function validateCustom(judged: Judged, object: StoredObject, errors: FieldErrors, context: WriteContext): void {
  const { schema, version } = judged;
  const rules = judged.rules();
  const old = context.old;
  const { kind, apiVersion = "" } = object as { kind?: string; apiVersion?: string };
  const found = new FieldErrors({
    kind: kind ?? "",
    group: apiVersion.split("/")[0] ?? "",
    name: object.metadata.name,
  });
  new SchemaValidator().validate(schema, withoutMetadata(object), old && withoutMetadata(old), found);
  validateEmbedded(schema, object, "", found);
  const oldLists = new FieldErrors();
  if (old) validateListTypes(schema, old, "", oldLists);
  // An object that had repeated items already may keep them.
  if (oldLists.causes.length === 0) validateListTypes(schema, object, "", found);
  if (version.subresources?.scale) validateScalePaths(version.subresources.scale, object, found);
  if (rules.tree) {
    if (found.causes.some((c) => blocking.has(c.reason)))
      found.invalid(
        "<nil>",
        null,
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
      );
    else new RuleEvaluation(rules, found).object(object, old);
  }
  errors.take(found.causes);
}

/** Schemas may say something of metadata's name only; all the rest of it is the server's own. */
function withoutMetadata(object: StoredObject): Dict {
  const { metadata, ...rest } = object;
  if (!isDict(metadata)) return rest;
  const { name, generateName } = metadata;
  return { ...rest, metadata: { name, ...(generateName === undefined ? {} : { generateName }) } };
}
