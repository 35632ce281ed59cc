import { createHash } from "node:crypto";
import { brotliDecompressSync } from "node:zlib";
import { kubernetesVersion } from "#api/index.ts";
import type { CustomRules, Kind } from "../kinds/definition.ts";
import { apiVersionOf, type GroupVersion, type Registry } from "../kinds/registry.ts";
import type { Dict } from "../object.ts";
import { type Field, openApiName, type Schema } from "../schema/schema.ts";
import { structure } from "../schema/structure.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";

/** What the documentation says of types and their fields. */
type Descriptions = Readonly<Record<string, readonly [string, Readonly<Record<string, string>>]>>;

const ref = (type: string) => ({ $ref: `#/components/schemas/${openApiName(type)}` });

/**
 * OpenAPI v3: an index, and one document per group and version, made when asked for. They hold what kubectl reads:
 * schemas with merge keys and descriptions, and operations with their kind, patch types and fieldValidation.
 */
export class OpenApi {
  readonly #registry: Registry;
  readonly #schema: Schema;
  readonly #hash: string;
  readonly #kindHashes = new WeakMap<Kind, string>();

  constructor(registry: Registry, schema: Schema, version: string) {
    this.#registry = registry;
    this.#schema = schema;
    this.#hash = createHash("sha256").update(structure).update(version).digest("hex").slice(0, 32).toUpperCase();
  }

  /** Answers paths below /openapi/v3. */
  async answer(path: string, call: Call): Promise<Reply | undefined> {
    if (path === "/openapi/v3" || path === "/openapi/v3/") return jsonReply({ paths: this.#index() });
    const match = /^\/openapi\/v3\/(?:api|apis\/([^/]+))\/([^/]+)\/?$/.exec(path);
    const group = this.#registry.groups.find((g) => match && g.group === (match[1] ?? "") && g.version === match[2]);
    if (!group) return undefined;
    const hash = this.#hashOf(group);
    const headers = {
      etag: `"${hash}"`,
      vary: "Accept",
      "cache-control": "public, immutable",
      expires: new Date(Date.now() + 31_536_000_000).toUTCString(),
    };
    if (call.headers["if-none-match"] === `"${hash}"`) return { status: 304, headers, body: "" };
    return jsonReply(await this.#document(group), 200, headers);
  }

  #index(): Dict {
    const paths: Dict = {};
    for (const g of this.#registry.groups) {
      const path = g.group ? `apis/${g.group}/${g.version}` : `api/${g.version}`;
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${this.#hashOf(g)}` };
    }
    return paths;
  }

  /** What changes with the content of a group's document. */
  #hashOf(group: GroupVersion): string {
    const custom = group.kinds.filter((kind) => kind.custom);
    if (custom.length === 0) return this.#hash;
    const hash = createHash("sha256").update(this.#hash);
    for (const kind of custom) hash.update(this.#hashOfKind(kind));
    return hash.digest("hex").slice(0, 32).toUpperCase();
  }

  #hashOfKind(kind: Kind): string {
    let hash = this.#kindHashes.get(kind);
    if (!hash) {
      hash = createHash("sha256").update(kind.type).update(JSON.stringify(kind.custom?.schema)).digest("hex");
      this.#kindHashes.set(kind, hash);
    }
    return hash;
  }

  async #document(group: GroupVersion): Promise<object> {
    // The descriptions are big and seldom asked for: they are unpacked for one answer and dropped again.
    const { descriptions: packed } = await import("../schema/descriptions.ts");
    const descriptions = JSON.parse(
      brotliDecompressSync(Buffer.from(packed, "base64")).toString("utf8"),
    ) as Descriptions;
    const builder = new SchemaBuilder(this.#schema, descriptions);
    const paths: Dict = {};
    for (const kind of group.kinds) {
      builder.add(kind.type, kind);
      builder.addList(kind);
      Object.assign(paths, kindPaths(kind));
    }
    for (const review of group.reviews) {
      builder.add(review.type, review);
      const base = `/apis/${review.group}/${review.version}`;
      paths[`${base}/${review.namespaced ? "namespaces/{namespace}/" : ""}${review.plural}`] = {
        post: operation("post", review, review.type),
      };
    }
    builder.add("meta.v1.DeleteOptions");
    return {
      openapi: "3.0.0",
      info: { title: "Kubernetes", version: kubernetesVersion },
      paths,
      components: { schemas: builder.schemas },
    };
  }
}

type Gvk = { readonly group: string; readonly version: string; readonly kind: string };
const gvkOf = ({ group, version, kind }: Gvk) => ({ group, version, kind });

class SchemaBuilder {
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

const query = (name: string) => ({ name, in: "query", schema: { type: "string", uniqueItems: true } });
const bodyTypes = ["application/json", "application/yaml"];
const patchBodies = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

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

function operation(action: string, kind: Gvk & { readonly custom?: CustomRules | undefined }, type: string): Dict {
  const writing = action !== "get" && action !== "list";
  const content = (types: readonly string[], schema: Dict) => Object.fromEntries(types.map((t) => [t, { schema }]));
  const body = action === "patch" ? content(bodiesOf(kind), { type: "object" }) : content(bodyTypes, ref(type));
  return {
    parameters: writing
      ? ["dryRun", "fieldManager", "fieldValidation", ...(action === "patch" ? ["force"] : [])].map(query)
      : [],
    ...(writing && action !== "delete" ? { requestBody: { content: body } } : {}),
    responses: { 200: { description: "OK", content: content(bodyTypes, ref(type)) } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvkOf(kind),
  };
}

/** What a patch may be; custom objects do not merge strategically. */
function bodiesOf(kind: { readonly custom?: CustomRules | undefined }): readonly string[] {
  return kind.custom ? patchBodies.filter((type) => !type.includes("strategic")) : patchBodies;
}

function kindPaths(kind: Kind): Dict {
  const root = kind.group ? `/apis/${apiVersionOf(kind)}` : `/api/${kind.version}`;
  const collection = `${root}/${kind.namespaced ? "namespaces/{namespace}/" : ""}${kind.plural}`;
  const paths: Dict = {
    [collection]: { get: operation("list", kind, `${kind.type}List`), post: operation("post", kind, kind.type) },
    [`${collection}/{name}`]: Object.fromEntries(
      ["get", "put", "patch", "delete"].map((a) => [a, operation(a, kind, kind.type)]),
    ),
  };
  if (kind.status)
    paths[`${collection}/{name}/status`] = Object.fromEntries(
      ["get", "put", "patch"].map((a) => [a, operation(a, kind, kind.type)]),
    );
  return paths;
}
