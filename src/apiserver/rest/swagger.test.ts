import { describe, expect, it } from "vitest";
import { swagger, swaggerMessage } from "./swagger.ts";

describe("Swagger 2.0 of OpenAPI v3 schemas", () => {
  const schemas = {
    "io.x.Thing": {
      description: "A thing.",
      type: "object",
      required: ["size"],
      properties: {
        size: { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" },
        other: { description: "Another.", allOf: [{ $ref: "#/components/schemas/io.x.Other" }], default: {} },
        all: { type: "array", items: { $ref: "#/components/schemas/io.x.Other" } },
      },
      "x-kubernetes-group-version-kind": [{ group: "x", version: "v1", kind: "Thing" }],
    },
  };

  it("a reference stands alone, oneOf becomes a string", () => {
    expect(swagger(schemas)).toMatchObject({
      swagger: "2.0",
      definitions: {
        "io.x.Thing": {
          properties: {
            size: { type: "string", format: "int-or-string" },
            other: { description: "Another.", $ref: "#/definitions/io.x.Other" },
            all: { type: "array", items: { $ref: "#/definitions/io.x.Other" } },
          },
        },
      },
    });
  });

  it("gnostic's message: swagger = 1, info = 2, paths = 8, definitions = 9", () => {
    const document = { swagger: "2.0", info: { title: "T", version: "1" }, definitions: { A: { type: "string" } } };
    // By OpenAPIv2.proto: NamedSchema name = 1, value = 2; Schema.type = 22; TypeItem.value = 1.
    const type = [0xb2, 0x01, 8, 0x0a, 6, ...Buffer.from("string")];
    const named = [0x0a, 1, 0x41, 0x12, type.length, ...type];
    const definitions = [0x0a, named.length, ...named];
    expect([...swaggerMessage(document)]).toEqual([
      ...[0x0a, 3, ...Buffer.from("2.0")],
      ...[0x12, 6, 0x0a, 1, 0x54, 0x12, 1, 0x31],
      ...[0x42, 0],
      ...[0x4a, definitions.length, ...definitions],
    ]);
  });
});
