import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import type { ApiServer } from "../server.ts";
import { startLocalServer } from "../testing/local.ts";

let server: ApiServer;
let api: Transport;
let failures: string[];
beforeAll(async () => {
  ({ server, api, log: failures } = await startLocalServer());
});
afterAll(() => server.stop());

/** Upstream too answers with 500 to an applied configuration that does not fit, and to a scale without a number. */
const upstreams = /failed to (create typed patch object|merge config)|the spec replicas field/;

/** Sends a request; a 5xx or a logged failure is a bug. @returns the status */
async function survives(method: string, path: string, body?: unknown, type = "application/json"): Promise<number> {
  failures.length = 0;
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const headers = { "content-type": type, accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
  const response = await api.request({ method, path, headers, ...sent });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  expect({ path, failures, text: response.status >= 500 && !upstreams.test(text) ? text : "" }).toEqual({
    path,
    failures: [],
    text: "",
  });
  return response.status;
}

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const things = "/apis/fuzz.example.com/v1/namespaces/default/things";

const word = fc.constantFrom("a", "b", "name", "metadata", "kind", "spec", "status", "__proto__", "constructor", "");
const rule = fc.constantFrom(
  "self == oldSelf",
  "self.a > 1",
  "self.all(x, x.name != '')",
  "has(self.a) && self.a.matches('(a+)+b')",
  "self.size() < 3",
  "self.",
  "duration(self) > duration('1s')",
  "self.exists_one(x, x == 1)",
);
const leaf = fc.record(
  {
    type: fc.constantFrom("string", "integer", "number", "boolean", "object", "array", "null", ""),
    format: fc.constantFrom("date-time", "ipv4", "byte", "duration", "date", "nonsense"),
    default: fc.jsonValue({ maxDepth: 1 }),
    enum: fc.array(fc.jsonValue({ maxDepth: 0 }), { maxLength: 2 }),
    pattern: fc.constantFrom("^[a-z]+$", "(", "(?i)a", "[[:alpha:]]", "\\p{L}"),
    nullable: fc.boolean(),
    minimum: fc.integer({ min: -3, max: 3 }),
    maxLength: fc.nat(3),
    minItems: fc.nat(2),
    maxProperties: fc.nat(2),
    required: fc.array(word, { maxLength: 2 }),
    multipleOf: fc.constantFrom(0, 0.5, 2, -1),
    "x-kubernetes-preserve-unknown-fields": fc.constant(true),
    "x-kubernetes-embedded-resource": fc.constant(true),
    "x-kubernetes-int-or-string": fc.constant(true),
    "x-kubernetes-list-type": fc.constantFrom("set", "map", "atomic", "bag"),
    "x-kubernetes-list-map-keys": fc.array(word, { maxLength: 2 }),
    "x-kubernetes-map-type": fc.constantFrom("atomic", "granular"),
    "x-kubernetes-validations": fc.array(
      fc.record(
        { rule, message: fc.constant("m"), fieldPath: fc.constantFrom(".a", "a", ".a[0]") },
        { requiredKeys: ["rule"] },
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
);

/** Schemas with two or three levels, right ones and wrong ones. */
const { schema } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc
      .tuple(leaf, fc.dictionary(word, tie("schema"), { maxKeys: 3 }))
      .map(([more, properties]) => ({ ...more, type: "object", properties })),
    fc.tuple(leaf, tie("schema")).map(([more, items]) => ({ ...more, type: "array", items })),
    fc.tuple(leaf, tie("schema")).map(([more, below]) => ({ ...more, type: "object", additionalProperties: below })),
    fc
      .tuple(leaf, tie("schema"), fc.constantFrom("anyOf", "oneOf", "allOf"))
      .map(([more, below, how]) => ({ ...more, [how]: [below] })),
    fc.tuple(leaf, tie("schema")).map(([more, below]) => ({ ...more, not: below })),
  ),
}));

const rules = fc.array(fc.record({ rule, message: fc.constant("m") }), { maxLength: 2 });
const scalar: fc.Arbitrary<object> = fc.oneof(
  fc.record(
    {
      type: fc.constant("string"),
      format: fc.constantFrom("date-time", "ipv4", "byte", "duration", "date", "nonsense"),
      pattern: fc.constantFrom("^[a-z]+$", "^(a+)+$", "(?i)a", "[[:alpha:]]", "\\p{L}"),
      maxLength: fc.nat(3),
      nullable: fc.boolean(),
      enum: fc.constant(["a", "b"]),
      "x-kubernetes-validations": rules,
    },
    { requiredKeys: ["type"] },
  ),
  fc.record(
    {
      type: fc.constantFrom("integer", "number"),
      minimum: fc.integer({ min: -3, max: 3 }),
      exclusiveMinimum: fc.boolean(),
      multipleOf: fc.constantFrom(0.5, 2),
      default: fc.constantFrom(4, 8),
      not: fc.constant({ minimum: 100 }),
      "x-kubernetes-validations": rules,
    },
    { requiredKeys: ["type"] },
  ),
  fc.constant({ type: "boolean" }),
  fc.constant({ "x-kubernetes-int-or-string": true }),
  fc.constant({ type: "object", "x-kubernetes-preserve-unknown-fields": true }),
  fc.constant({ "x-kubernetes-preserve-unknown-fields": true }),
  fc.constant({ type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true }),
);
const key = fc.constantFrom("a", "b", "name", "spec", "status", "__proto__", "constructor");

/** Schemas that are structural. */
const { good } = fc.letrec<{ good: object }>((tie) => ({
  good: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc
      .tuple(fc.dictionary(key, tie("good"), { maxKeys: 4 }), fc.array(key, { maxLength: 1 }), rules)
      .map(([properties, required, validations]) => ({
        type: "object",
        properties,
        required,
        "x-kubernetes-validations": validations,
        oneOf: [{ required: ["a"] }, { not: { required: ["a"] } }],
      })),
    fc.tuple(tie("good"), rules).map(([items, validations]) => ({
      type: "array",
      items,
      maxItems: 3,
      "x-kubernetes-validations": validations,
    })),
    fc.dictionary(key, tie("good"), { maxKeys: 3 }).map((properties) => ({
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: { type: "object", required: ["name"], properties: { ...properties, name: { type: "string" } } },
    })),
    fc.constant({ type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } }),
    tie("good").map((additionalProperties) => ({ type: "object", additionalProperties })),
  ),
}));

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.dictionary(word, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.dictionary(word, fc.jsonValue({ maxDepth: 1 }))), {
    maxKeys: 4,
  }),
);

function definition(spec: object, columns: readonly string[]): object {
  const root = {
    type: "object",
    properties: { spec, status: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
  };
  return {
    metadata: { name: "things.fuzz.example.com" },
    spec: {
      group: "fuzz.example.com",
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: root },
          subresources: { status: {}, scale: { specReplicasPath: ".spec.a", statusReplicasPath: ".status.b" } },
          additionalPrinterColumns: columns.map((jsonPath) => ({ name: "C", type: "string", jsonPath })),
        },
      ],
    },
  };
}

const columns = fc.array(fc.constantFrom(".spec", ".spec.a", ".spec[0]", "..a", '.spec.a[?(@.b=="x")]'), {
  maxLength: 2,
});

describe("definitions and custom objects: nothing that a client sends makes the server fail (property)", {
  timeout: 120_000,
}, () => {
  it("any definition", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), schema, fc.nat(), async (json, spec, seed) => {
        await survives("POST", `${path}?dryRun=All`, json);
        const body = definition(spec, []) as { spec: Record<string, unknown> };
        const keys = Object.keys(body.spec);
        body.spec[keys[seed % keys.length] as string] = json;
        await survives("POST", `${path}?dryRun=All`, body);
      }),
      { seed: 4, numRuns: 400 },
    );
  });

  it("any schema, any objects of it, any patch", async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(good, columns, value, value, async (spec, paths, first, second) => {
        const status = await survives("POST", path, definition(spec, paths));
        if (status !== 201) return;
        taken++;
        const object = (body: unknown) => ({
          apiVersion: "fuzz.example.com/v1",
          kind: "Thing",
          metadata: { name: "x" },
          spec: body,
        });
        await survives("POST", things, object(first));
        await survives("PUT", `${things}/x`, object(second));
        await survives("PATCH", `${things}/x`, { spec: second, status: first }, "application/merge-patch+json");
        await survives("PATCH", `${things}/x/status`, { status: first }, "application/merge-patch+json");
        const scaled = { spec: { replicas: first } };
        await survives("PATCH", `${things}/x/scale`, scaled, "application/merge-patch+json");
        const apply = `${things}/x?fieldManager=fuzz&force=true`;
        await survives("PATCH", apply, object(second), "application/apply-patch+yaml");
        await survives("PATCH", apply, object(first), "application/apply-patch+yaml");
        await survives("GET", things);
        await survives("GET", "/openapi/v3/apis/fuzz.example.com/v1");
        await survives("DELETE", `${path}/things.fuzz.example.com`);
        // The definition goes with the next turn of the event loop.
        await new Promise((resolve) => setImmediate(resolve));
      }),
      { seed: 5, numRuns: 150 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});
