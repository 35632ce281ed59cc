import { kubernetesVersion } from "#api/index.ts";
import type { Dict } from "../object.ts";

/**
 * The media type of gnostic's openapiv2/OpenAPIv2.proto, in which kubectl asks for OpenAPI v2. It asks with an @ before
 * the version, which Go's own parser refuses in an answer.
 */
export const swaggerMessageType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/**
 * A Swagger 2.0 document of OpenAPI v3 schemas. kubectl reads it where it finds no operation that validates fields:
 * manifests of kind List, kinds that the server has not, and `explain --output=plaintext-openapiv2`.
 * It has no paths: kubectl takes operations from v3.
 */
export function swagger(schemas: Dict): Dict {
  const definitions = Object.entries(schemas).map(([name, schema]) => [name, definition(schema as Dict)]);
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: kubernetesVersion },
    paths: {},
    definitions: Object.fromEntries(definitions),
  };
}

/** A schema of v3 as v2 has it: no oneOf, and a reference stands alone. */
function definition(schema: Dict): Dict {
  const reference = (schema.allOf as Dict[] | undefined)?.[0]?.$ref ?? schema.$ref;
  const { description } = schema;
  if (typeof reference === "string")
    return {
      ...(description ? { description } : {}),
      $ref: reference.replace("#/components/schemas/", "#/definitions/"),
    };
  const { allOf: _, oneOf, default: __, ...rest } = schema;
  const out: Dict = { ...rest, ...(oneOf ? { type: "string" } : {}) };
  if (schema.items) out.items = definition(schema.items as Dict);
  if (typeof schema.additionalProperties === "object")
    out.additionalProperties = definition(schema.additionalProperties as Dict);
  if (schema.properties)
    out.properties = Object.fromEntries(
      Object.entries(schema.properties as Dict).map(([name, value]) => [name, definition(value as Dict)]),
    );
  return out;
}

/** A Swagger document as gnostic's message `Document`. */
export function swaggerMessage(document: Dict): Buffer {
  const info = document.info as { title: string; version: string };
  return message([
    field(1, document.swagger as string),
    field(2, message([field(1, info.title), field(2, info.version)])),
    field(8, Buffer.alloc(0)),
    field(9, namedSchemas(document.definitions as Dict)),
  ]);
}

/** `Definitions` and `Properties`: NamedSchema, repeated. */
function namedSchemas(schemas: Dict): Buffer {
  return message(
    Object.entries(schemas).map(([name, schema]) =>
      field(1, message([field(1, name), field(2, schemaMessage(schema as Dict))])),
    ),
  );
}

/** The fields of `Schema` that our schemas have. */
function schemaMessage(schema: Dict): Buffer {
  const parts: Buffer[] = [];
  const text = (number: number, value: unknown) => {
    if (typeof value === "string" && value !== "") parts.push(field(number, value));
  };
  text(1, schema.$ref);
  text(2, schema.format);
  text(4, schema.description);
  for (const name of (schema.required as string[] | undefined) ?? []) text(19, name);
  for (const value of (schema.enum as unknown[] | undefined) ?? []) parts.push(field(20, anything(value)));
  if (typeof schema.additionalProperties === "object")
    parts.push(field(21, message([field(1, schemaMessage(schema.additionalProperties as Dict))])));
  if (typeof schema.type === "string") parts.push(field(22, message([field(1, schema.type)])));
  if (schema.items) parts.push(field(23, message([field(1, schemaMessage(schema.items as Dict))])));
  if (schema.properties) parts.push(field(25, namedSchemas(schema.properties as Dict)));
  for (const [name, value] of Object.entries(schema))
    if (name.startsWith("x-")) parts.push(field(31, message([field(1, name), field(2, anything(value))])));
  return message(parts);
}

/** `Any`: its YAML, of which JSON is a part. */
function anything(value: unknown): Buffer {
  return message([field(2, JSON.stringify(value))]);
}

const message = (parts: readonly Buffer[]): Buffer => Buffer.concat(parts);

/** A length-delimited field. */
function field(number: number, value: Buffer | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Buffer.from([...out, rest]);
}
