import { expect, it } from "vitest";
import { decodeObject } from "./decode.ts";
import { Schema } from "./schema.ts";

const schema = new Schema();

it("keeps a zero where Go's omitempty does: IntOrString is a struct there, replicas a pointer, minReadySeconds neither", () => {
  const rollingUpdate = { maxSurge: "25%", maxUnavailable: 0 };
  const spec = { replicas: 0, minReadySeconds: 0, strategy: { rollingUpdate } };
  const { minReadySeconds: _, ...kept } = spec;
  expect(decodeObject(schema, "apps.v1.Deployment", { spec }, []).spec).toEqual(kept);
});
