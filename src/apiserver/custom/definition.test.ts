import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import type { ApiServer } from "../server.ts";
import { ask } from "../testing/client.ts";
import { startLocalServer } from "../testing/local.ts";

type Dict = Record<string, unknown>;

let server: ApiServer;
let api: Transport;
beforeAll(async () => {
  ({ server, api } = await startLocalServer());
});
afterAll(() => server.stop());

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** A definition of Things with this schema of spec's field `f`; `change` alters it before it is sent. */
function definition(schema: Dict, change: (spec: Dict, version: Dict, root: Dict) => void = () => {}): Dict {
  const root: Dict = { type: "object", properties: { f: schema } };
  const version: Dict = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: root } };
  const spec: Dict = {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "things", kind: "Thing" },
    versions: [version],
  };
  change(spec, version, root);
  return { metadata: { name: "things.example.com" }, spec };
}

/** The messages of a definition's refusal; empty when it is taken. Nothing is stored. */
async function refusal(body: Dict): Promise<string[]> {
  const answer = await ask(api, "POST", `${path}?dryRun=All&fieldValidation=Strict`, body);
  const causes = (answer.body.details?.causes ?? []) as { field: string; message: string }[];
  if (answer.status === 201) return [];
  return causes.length > 0 ? causes.map((c) => `${c.field}: ${c.message}`) : [answer.body.message ?? ""];
}

const root = "spec.versions[0].schema.openAPIV3Schema";
const f = `${root}.properties[f]`;

/** Texts are those of apiextensions-apiserver pkg/apiserver/schema/validation.go and pkg/apis/apiextensions/validation. */
const schemas: readonly (readonly [string, Dict, readonly string[]])[] = [
  ["a field without a type", {}, [`${f}.type: Required value: must not be empty for specified object fields`]],
  [
    "items without a type",
    { type: "array", items: {} },
    [`${f}.items.type: Required value: must not be empty for specified array items`],
  ],
  ["a list without items", { type: "array" }, [`${f}.items: Required value: must be specified`]],
  [
    "a type inside of a junctor",
    { type: "string", anyOf: [{ type: "string" }] },
    [`${f}.anyOf[0].type: Forbidden: must be empty to be structural`],
  ],
  [
    "the int-or-string form",
    { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
    [],
  ],
  [
    "a field that is only inside of a junctor",
    { type: "object", anyOf: [{ properties: { a: { minimum: 1 } } }] },
    [`${f}.properties[a]: Required value: because it is defined in ${f}.anyOf[0].properties[a]`],
  ],
  [
    "properties and additionalProperties",
    { type: "object", properties: { a: { type: "string" } }, additionalProperties: { type: "string" } },
    [`${f}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`],
  ],
  [
    "uniqueItems",
    { type: "array", items: { type: "string" }, uniqueItems: true },
    [`${f}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`],
  ],
  ["$ref", { type: "string", $ref: "#/x" }, [`${f}.$ref: Forbidden: $ref is not supported`]],
  [
    "an unknown type",
    { type: "date" },
    [
      `${f}.type: Unsupported value: "date": supported values: "array", "boolean", "integer", "number", "object", "string"`,
    ],
  ],
  [
    "a list type on no list",
    { type: "string", "x-kubernetes-list-type": "set" },
    [`${f}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified`],
  ],
  [
    "a keyed list without keys",
    { type: "array", "x-kubernetes-list-type": "map", items: { type: "object" } },
    [`${f}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map`],
  ],
  [
    "a key that may be missing",
    {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
      items: { type: "object", properties: { k: { type: "string" } } },
    },
    [
      `${f}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
  ],
  [
    "preserving false",
    { type: "object", "x-kubernetes-preserve-unknown-fields": false },
    [`${f}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`],
  ],
  [
    "a default of another type",
    { type: "integer", default: "x" },
    [`${f}.default: Invalid value: "string":  in body must be of type integer: "string"`],
  ],
  [
    "a default with a field that nobody knows",
    { type: "object", properties: { a: { type: "string" } }, default: { b: 1 } },
    [`${f}.default: Invalid value: {"b":1}: must not have unknown fields`],
  ],
  [
    "a rule that is empty",
    { type: "string", "x-kubernetes-validations": [{ rule: "" }] },
    [`${f}.x-kubernetes-validations[0].rule: Required value: rule is not specified`],
  ],
  [
    "oldSelf where nothing is told apart",
    {
      type: "array",
      items: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] },
    },
    [
      `${f}.items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within ${f}`,
    ],
  ],
  [
    "a reason that is none",
    { type: "string", "x-kubernetes-validations": [{ rule: "self == ''", reason: "Bad" }] },
    [
      `${f}.x-kubernetes-validations[0].reason: Unsupported value: "Bad": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"`,
    ],
  ],
];

describe("definitions: what they may say (part: structural schemas)", () => {
  it.each(schemas)("%s", async (_, schema, expected) => {
    expect(await refusal(definition(schema))).toEqual(expected);
  });

  it("refuses a pattern that is none", async () => {
    const [text] = await refusal(definition({ type: "string", pattern: "(" }));
    expect(text).toMatch(
      /pattern: Invalid value: "\(": must be a valid regular expression, but isn't: error parsing regexp:/,
    );
  });

  it("refuses metadata that says more than names", async () => {
    const body = definition({ type: "string" }, (_s, _v, schema) => {
      (schema.properties as Dict).metadata = { type: "object", properties: { labels: { type: "object" } } };
    });
    expect(await refusal(body)).toEqual([
      `${root}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified`,
    ]);
  });

  it("knows no field that JSONSchemaProps has not", async () => {
    expect(await refusal(definition({ type: "string", minimun: 1 }))).toEqual([
      `CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: strict decoding error: unknown field "spec.versions[0].schema.openAPIV3Schema.properties.f.minimun"`,
    ]);
  });
});

describe("definitions: names, versions, conversion, approval, columns", () => {
  const text = { type: "string" };

  it("checks names", async () => {
    const named = (names: Dict) => definition(text, (spec) => Object.assign(spec.names as Dict, names));
    expect(await refusal(named({ plural: "others" }))).toEqual([
      'metadata.name: Invalid value: "things.example.com": must be spec.names.plural+"."+spec.group',
    ]);
    expect(await refusal(named({ listKind: "Thing" }))).toEqual([
      'spec.names.listKind: Invalid value: "Thing": kind and listKind may not be the same',
    ]);
    const [short] = await refusal(named({ shortNames: ["T"] }));
    expect(short).toMatch(/^spec.names.shortNames\[0\]: Invalid value: "T": a DNS-1035 label must consist of/);
  });

  it("wants exactly one stored version, and unique names", async () => {
    const twice = definition(text, (spec, version) => {
      spec.versions = [version, version];
    });
    expect((await refusal(twice)).join()).toMatch(
      /must contain unique version names.*must have exactly one version marked as storage version/,
    );
  });

  it("wants an approval for groups of the Kubernetes community", async () => {
    const body = definition(text, (spec) => {
      spec.group = "x.k8s.io";
    });
    const metadata = { name: "things.x.k8s.io" };
    expect(await refusal({ ...body, metadata })).toEqual([
      'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    ]);
    const annotations = { "api-approved.kubernetes.io": "https://example.com/1" };
    expect(await refusal({ ...body, metadata: { ...metadata, annotations } })).toEqual([]);
  });

  it("checks columns, scale and conversion", async () => {
    const column = (more: Dict) =>
      definition(text, (_, version) => {
        version.additionalPrinterColumns = [{ name: "A", type: "string", jsonPath: ".f", ...more }];
      });
    const at = "spec.versions[0].additionalPrinterColumns[0]";
    expect(await refusal(column({ type: "text" }))).toEqual([
      `${at}.type: Invalid value: "text": must be one of boolean,date,integer,number,string`,
    ]);
    expect(await refusal(column({ jsonPath: "f" }))).toEqual([
      `${at}.jsonPath: Invalid value: "f": must be a simple json path starting with .`,
    ]);
    const scaled = definition(text, (_, version) => {
      version.subresources = { scale: { specReplicasPath: ".status.x", statusReplicasPath: ".status.y" } };
    });
    expect(await refusal(scaled)).toEqual([
      'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec',
    ]);
    const converted = definition(text, (spec) => {
      spec.conversion = { strategy: "Webhook" };
    });
    expect(await refusal(converted)).toEqual([
      "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
      "spec.conversion.conversionReviewVersions: Required value",
    ]);
  });

  it("warns of rules that it cannot evaluate, and takes the definition", async () => {
    const body = definition({ ...text, "x-kubernetes-validations": [{ rule: "self.sorcery()" }] });
    const answer = await ask(api, "POST", `${path}?dryRun=All`, body);
    expect(answer.status).toBe(201);
    expect(answer.headers.warning).toContain(
      `${f}.x-kubernetes-validations[0].rule: this rule cannot be evaluated here and is not enforced:`,
    );
  });
});

describe("definitions: what becomes of them", () => {
  const create = (body: Dict) => ask(api, "POST", path, body);
  const conditions = async (name: string) => {
    const { body } = await ask(api, "GET", `${path}/${name}`);
    const list = ((body.status as Dict).conditions ?? []) as { type: string; status: string; reason: string }[];
    return Object.fromEntries(list.map((c) => [c.type, `${c.status} ${c.reason}`]));
  };

  it("names that are taken keep a definition from being served until they are free", async () => {
    const second = definition({ type: "string" }, (spec) => {
      spec.names = { plural: "others", kind: "Thing", singular: "other" };
    });
    expect((await create(definition({ type: "string" }))).status).toBe(201);
    expect((await create({ ...second, metadata: { name: "others.example.com" } })).status).toBe(201);
    expect(await conditions("things.example.com")).toEqual({
      NamesAccepted: "True NoConflicts",
      Established: "True InitialNamesAccepted",
    });
    expect(await conditions("others.example.com")).toMatchObject({
      NamesAccepted: "False ListKindConflict",
      Established: "False NotAccepted",
    });
    expect((await ask(api, "GET", "/apis/example.com/v1/others")).status).toBe(404);
    await ask(api, "DELETE", `${path}/things.example.com`);
    await expect
      .poll(() => conditions("others.example.com"))
      .toMatchObject({ NamesAccepted: "True NoConflicts", Established: "True InitialNamesAccepted" });
    expect((await ask(api, "GET", "/apis/example.com/v1/others")).status).toBe(200);
    await ask(api, "DELETE", `${path}/others.example.com`);
  });

  it("waits for finalizers of its objects, and takes no new ones meanwhile", async () => {
    await create(definition({ type: "string" }));
    const things = "/apis/example.com/v1/namespaces/default/things";
    const metadata = { name: "held", finalizers: ["example.com/hold"] };
    await ask(api, "POST", things, { apiVersion: "example.com/v1", kind: "Thing", metadata });
    await ask(api, "DELETE", `${path}/things.example.com`);
    expect(await conditions("things.example.com")).toMatchObject({ Terminating: "True InstanceDeletionInProgress" });
    const refused = await ask(api, "POST", things, {
      apiVersion: "example.com/v1",
      kind: "Thing",
      metadata: { name: "x" },
    });
    expect([refused.status, refused.body.message]).toEqual([
      405,
      "create not allowed while custom resource definition is terminating",
    ]);
    const patch = { metadata: { finalizers: null } };
    await ask(api, "PATCH", `${things}/held`, patch, { "content-type": "application/merge-patch+json" });
    await expect.poll(async () => (await ask(api, "GET", `${path}/things.example.com`)).status).toBe(404);
    expect((await ask(api, "GET", things)).status).toBe(404);
  });

  it("keeps a version in which objects are stored", async () => {
    const two = definition({ type: "string" }, (spec, version) => {
      spec.versions = [version, { ...version, name: "v2", storage: false }];
    });
    await create(two);
    const put = async (change: (versions: Dict[]) => Dict[]) => {
      const { body } = await ask(api, "GET", `${path}/things.example.com`);
      const spec = body.spec as Dict;
      return ask(api, "PUT", `${path}/things.example.com`, {
        ...body,
        spec: { ...spec, versions: change(spec.versions as Dict[]) },
      });
    };
    const moved = await put((versions) => versions.map((v) => ({ ...v, storage: v.name === "v2" })));
    expect((moved.body.status as Dict).storedVersions).toEqual(["v1", "v2"]);
    const refused = await put((versions) => versions.filter((v) => v.name === "v2"));
    expect(refused.body.message).toContain(
      'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version',
    );
    await ask(api, "DELETE", `${path}/things.example.com`);
  });

  it("refuses requests that would need a conversion webhook, and says so", async () => {
    const webhook = { clientConfig: { url: "https://example.com/convert" }, conversionReviewVersions: ["v1"] };
    await create(
      definition({ type: "string" }, (spec, version) => {
        spec.conversion = { strategy: "Webhook", webhook };
        spec.versions = [version, { ...version, name: "v2", storage: false }];
      }),
    );
    expect((await ask(api, "GET", "/apis/example.com/v1/things")).status).toBe(200);
    const refused = await ask(api, "GET", "/apis/example.com/v2/things");
    expect([refused.status, refused.body.message]).toEqual([
      500,
      "Internal error occurred: conversion between v1 and v2 of things.example.com needs the definition's conversion webhook, which this server does not call: use the stored version, or the conversion strategy None",
    ]);
    await ask(api, "DELETE", `${path}/things.example.com`);
  });
});
