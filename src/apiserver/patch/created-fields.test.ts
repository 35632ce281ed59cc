import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Dict } from "../object.ts";
import { decodeObject } from "../schema/decode.ts";
import { type Field, Schema } from "../schema/schema.ts";
import { samples } from "../testing/samples/index.ts";
import { createdFields } from "./created-fields.ts";
import { isEmpty, setText } from "./field-set.ts";
import { rootNode } from "./typed.ts";
import { updateManagers } from "./updater.ts";

const schema = new Schema();
/** `apps/v1` Deployment is `apps.v1.Deployment`, `policy.k8s.io/v1` has no `k8s.io` there. */
function typeOf(apiVersion: string, kind: string): string {
  const [group = "", version] = apiVersion === "v1" ? ["core", "v1"] : apiVersion.split("/");
  return `${group.split(".")[0]}.${version}.${kind}`;
}

/** The long way: the difference from nothing, as a set, and that as text. It is compared with upstream elsewhere. */
function bySets(type: string, object: Dict): string {
  const ground = { schema, root: rootNode(schema, type), owns: (field: string) => field !== "status" };
  const { taken } = updateManagers(ground, {}, object, new Map());
  return isEmpty(taken) ? "" : setText(taken);
}

function direct(type: string, object: Dict): string {
  return createdFields({ schema, root: rootNode(schema, type), owns: (field) => field !== "status" }, object);
}

/** Any value of a field, as far down as `depth`; hollow ones and nulls too. */
function valuesOf(field: Field, depth: number): fc.Arbitrary<unknown> {
  const scalar = fc.constantFrom<unknown>("", "a", 'q"\\', 0, 1, false, null);
  const one =
    field.kind !== "struct"
      ? field.kind === "FieldsV1" || field.kind === "RawExtension"
        ? fc.constantFrom<unknown>({}, { a: { b: 1 } })
        : scalar
      : depth === 0
        ? fc.constantFrom<unknown>({}, null)
        : objectOf(field.type, depth - 1);
  if (field.shape === "list") return fc.array(one, { maxLength: 3 });
  if (field.shape === "map") return fc.dictionary(fc.constantFrom("b", "a", '"', "é/ü", "__proto__"), one);
  return one;
}

function objectOf(type: string, depth: number): fc.Arbitrary<Dict> {
  const fields = [...schema.type(type).fields];
  return fc
    .subarray(fields, { maxLength: Math.min(6, fields.length) })
    .chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map(([name, field]) => [name, valuesOf(field, depth)]))),
    ) as fc.Arbitrary<Dict>;
}

describe("U02 the owner of a new object's fields (part: creation)", () => {
  it.each(samples.map((sample) => [sample.kind, sample] as const))(
    "%s: what the difference from nothing is",
    (_, s) => {
      const type = typeOf(s.apiVersion, s.kind);
      const object = { metadata: { name: "x", labels: { b: "1", a: "2" } }, ...s.body };
      const decoded = { ...decodeObject(schema, type, object, []), apiVersion: s.apiVersion, kind: s.kind };
      expect(direct(type, decoded)).toBe(bySets(type, decoded));
      expect(direct(type, decoded)).not.toBe("");
    },
  );

  it("the same for objects of any form", () => {
    const types = ["core.v1.Pod", "core.v1.Service", "apps.v1.Deployment", "core.v1.ConfigMap", "core.v1.PodTemplate"];
    const any = fc.constantFrom(...types).chain((type) => fc.tuple(fc.constant(type), objectOf(type, 4)));
    fc.assert(
      fc.property(any, ([type, object]) => {
        expect(direct(type, object)).toBe(bySets(type, object));
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  it("nothing is owned of an object that has no more than a name", () => {
    expect(
      direct("core.v1.ConfigMap", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", uid: "u" } }),
    ).toBe("");
  });
});
