import { describe, expect, it } from "vitest";
import { enums } from "./enums.ts";
import { Schema } from "./schema.ts";

describe("values of enumerated fields", () => {
  const schema = new Schema();

  it("belong to fields that are there, one text each, in order", () => {
    for (const [type, fields] of Object.entries(enums))
      for (const [name, values] of Object.entries(fields)) {
        expect({ type, name, kind: schema.type(type).fields.get(name)?.kind }).toEqual({ type, name, kind: "string" });
        expect(values).toEqual([...values].sort());
      }
  });
});
