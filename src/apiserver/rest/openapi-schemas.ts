import type { CustomRules, Kind } from "../kinds/definition.ts";
import type { Dict } from "../object.ts";
import { enums } from "../schema/enums.ts";
import { type Field, openApiName, type Schema } from "../schema/schema.ts";

/** What the documentation says of types and their fields. */
export type Descriptions = Readonly<Record<string, readonly [string, Readonly<Record<string, string>>]>>;

/** A reference to a type's schema. */
export const ref = (type: string) => ({ $ref: `#/components/schemas/${openApiName(type)}` });

/** A kind with its group and version. */
export type Gvk = { readonly group: string; readonly version: string; readonly kind: string };
/** The same, without what else an object has. */
export const gvkOf = ({ group, version, kind }: Gvk) => ({ group, version, kind });

/** Builds the schemas of types and of all that they refer to, as OpenAPI v3 has them. */
export class SchemaBuilder {
  readonly schemas: Dict = {};
  readonly #schema: Schema;
  readonly #descriptions: Descriptions;

  constructor(schema: Schema, descriptions: Descriptions) {
    this.#schema = schema;
    this.#descriptions = descriptions;
  }

  /** Adds a type and all that it refers to. */
  add(type: string, gvk?: Gvk & { readonly custom?: CustomRules | undefined }): void {
    const name = openApiName(type);
    if (gvk?.custom) {
      this.add("meta.v1.ObjectMeta");
      this.schemas[name] = customSchema(gvk.custom.schema, gvk);
      return;
    }
    const known = this.schemas[name] as Dict | undefined;
    if (gvk && known) known["x-kubernetes-group-version-kind"] = [gvkOf(gvk)];
    if (known) return;
    const [description, fields] = this.#descriptions[type] ?? ["", {}];
    const values = enums[type];
    const out: Dict = {
      description,
      type: "object",
      ...(gvk ? { "x-kubernetes-group-version-kind": [gvkOf(gvk)] } : {}),
    };
    this.schemas[name] = out;
    const properties: Dict = {};
    const required: string[] = [];
    for (const field of this.#schema.type(type).fields.values()) {
      properties[field.name] = {
        ...(fields[field.name] ? { description: fields[field.name] } : {}),
        ...this.#property(field),
        ...(values?.[field.name] ? { enum: values[field.name] } : {}),
      };
      if (field.required) required.push(field.name);
    }
    out.properties = properties;
    if (required.length > 0) out.required = required;
  }

  /** Adds a kind's list type. */
  addList(kind: Kind): void {
    this.add("meta.v1.ListMeta");
    const text = { type: "string" };
    this.schemas[openApiName(`${kind.type}List`)] = {
      description: `${kind.listKind} is a list of ${kind.kind}`,
      type: "object",
      required: ["items"],
      properties: {
        apiVersion: text,
        kind: text,
        metadata: { allOf: [ref("meta.v1.ListMeta")], default: {} },
        items: { type: "array", items: ref(kind.type) },
      },
      "x-kubernetes-group-version-kind": [{ ...gvkOf(kind), kind: kind.listKind }],
    };
  }

  #property(field: Field): Dict {
    const extensions = mergeExtensions(field);
    const one = this.#value(field);
    if (field.shape === "list") return { type: "array", items: wrap(one), ...extensions };
    if (field.shape === "map") return { type: "object", additionalProperties: wrap(one) };
    return { ...wrap(one), ...extensions };
  }

  #value(field: Field): Dict {
    if (field.kind !== "struct") return scalarSchema(this, field);
    this.add(field.type);
    return ref(field.type);
  }

  /** Adds one of the types with a JSON form of their own. */
  addSpecial(type: string, schema: Dict): Dict {
    this.schemas[openApiName(type)] ??= schema;
    return ref(type);
  }
}

/** A reference may have nothing beside it but in allOf. */
function wrap(schema: Dict): Dict {
  return "$ref" in schema ? { allOf: [schema], default: {} } : schema;
}

function scalarSchema(builder: SchemaBuilder, field: Field): Dict {
  switch (field.kind) {
    case "string":
      return { type: "string" };
    case "bool":
      return { type: "boolean" };
    case "int32":
    case "int64":
      return { type: "integer", format: field.kind };
    case "double":
      return { type: "number", format: "double" };
    case "bytes":
      return { type: "string", format: "byte" };
    case "Time":
    case "MicroTime":
      return builder.addSpecial(field.kind, {
        type: "string",
        format: "date-time",
        description: "Time in RFC 3339 form.",
      });
    case "Duration":
      return builder.addSpecial(field.kind, { type: "string", description: "Duration such as 1m30s." });
    case "Quantity":
      return builder.addSpecial(field.kind, {
        oneOf: [{ type: "string" }, { type: "number" }],
        description: "Quantity is a fixed-point number such as 100m, 1.5Gi or 2e3.",
      });
    case "IntOrString":
      return builder.addSpecial(field.kind, {
        oneOf: [{ type: "integer" }, { type: "string" }],
        format: "int-or-string",
        description: "A number or a text.",
      });
    case "ExtraValue":
      return { type: "array", items: { type: "string" } };
    default:
      return builder.addSpecial(field.kind, { type: "object", description: "Any object." });
  }
}

function mergeExtensions(field: Field): Dict {
  const { patchKey, retainKeys, replace, applyKeys } = field.merge;
  const out: Dict = {};
  if (patchKey) {
    if (patchKey !== "=") out["x-kubernetes-patch-merge-key"] = patchKey;
    out["x-kubernetes-patch-strategy"] = retainKeys ? "merge,retainKeys" : "merge";
  } else if (retainKeys) out["x-kubernetes-patch-strategy"] = "retainKeys";
  else if (replace) out["x-kubernetes-patch-strategy"] = "replace";
  if (field.shape === "list" && applyKeys) {
    out["x-kubernetes-list-type"] = applyKeys[0] === "=" ? "set" : "map";
    if (applyKeys[0] !== "=") out["x-kubernetes-list-map-keys"] = applyKeys;
  } else if (field.shape === "list") out["x-kubernetes-list-type"] = "atomic";
  else if (field.atomic) out["x-kubernetes-map-type"] = "atomic";
  return out;
}

const typeMetaText = {
  apiVersion:
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
  kind: "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
  metadata:
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
};

/** The schema of custom objects with what every object has. */
function customSchema(schema: Dict, gvk: Gvk): Dict {
  const text = (description: string) => ({ description, type: "string" });
  const metadata = { description: typeMetaText.metadata, allOf: [ref("meta.v1.ObjectMeta")] };
  return {
    ...schema,
    properties: {
      ...(schema.properties as Dict | undefined),
      apiVersion: text(typeMetaText.apiVersion),
      kind: text(typeMetaText.kind),
      metadata,
    },
    "x-kubernetes-group-version-kind": [gvkOf(gvk)],
  };
}
