import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Transport } from "#api/index.ts";
import type { ApiServer } from "../server.ts";
import { ask, watch } from "../testing/client.ts";
import { widgetDefinition } from "../testing/crds/widget.ts";
import { startLocalServer } from "../testing/local.ts";

type Dict = Record<string, unknown>;

let server: ApiServer;
let api: Transport;
beforeAll(async () => {
  ({ server, api } = await startLocalServer());
  await ask(api, "POST", definitions, parse(widgetDefinition));
});
afterAll(() => server.stop());

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const widgets = "/apis/example.com/v1/namespaces/default/widgets";
const json = (type: string) => ({ "content-type": `application/${type}` });
const widget = (name: string, spec: Dict, metadata: Dict = {}) => ({
  apiVersion: "example.com/v1",
  kind: "Widget",
  metadata: { name, ...metadata },
  spec,
});
const merge = (name: string, patch: Dict, sub = "") =>
  ask(api, "PATCH", `${widgets}/${name}${sub}`, patch, json("merge-patch+json"));

/** Changes the stored definition of widgets. */
async function redefine(change: (spec: { versions: Dict[] }) => void): Promise<void> {
  const { body } = await ask(api, "GET", `${definitions}/widgets.example.com`);
  change(body.spec as { versions: Dict[] });
  const answer = await ask(api, "PUT", `${definitions}/widgets.example.com`, body);
  expect(answer.body.message ?? "").toBe("");
}

/** The schema of spec in a version. */
function specOf(version: Dict = {}): { properties: Dict } {
  const { openAPIV3Schema } = version.schema as { openAPIV3Schema: { properties: { spec: { properties: Dict } } } };
  return openAPIV3Schema.properties.spec;
}

describe("custom objects (part: without kubectl)", () => {
  it("get defaults, lose what nobody knows, and keep what may be anything", async () => {
    const spec = {
      size: 2,
      port: "http",
      note: null,
      free: { a: { b: [1, { c: null }] } },
      parts: [{ name: "x" }],
      extra: 1,
    };
    const { status, body, headers } = await ask(api, "POST", widgets, widget("one", spec));
    expect([status, headers.warning]).toEqual([201, '299 - "unknown field \\"spec.extra\\""']);
    expect(body.spec).toEqual({
      size: 2,
      replicas: 1,
      color: "red",
      port: "http",
      note: null,
      free: { a: { b: [1, { c: null }] } },
      parts: [{ name: "x", count: 7 }],
    });
    const ignored = await ask(api, "POST", `${widgets}?fieldValidation=Ignore`, widget("two", { size: 1, extra: 1 }));
    expect([ignored.status, ignored.headers.warning]).toEqual([201, undefined]);
  });

  it("have metadata as any object has", async () => {
    const wrong = await ask(api, "POST", widgets, widget("UPPER", { size: 1 }, { labels: { "-": "x" } }));
    expect(wrong.body.message).toMatch(
      /^Widget.example.com "UPPER" is invalid: \[metadata.name: Invalid value: "UPPER": a lowercase RFC 1123 subdomain must.*metadata.labels: Invalid value: "-"/,
    );
    const typed = await ask(api, "POST", widgets, widget("x", { size: 1 }, { labels: 1 }));
    expect(typed.body.message).toMatch(
      /^Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal number/,
    );
  });

  it("count generations of the spec, and keep the status apart", async () => {
    expect((await merge("one", { spec: { size: 3 } })).body.metadata.generation).toBe(2);
    expect((await merge("one", { metadata: { labels: { a: "b" } } })).body.metadata.generation).toBe(2);
    const written = await merge("one", { status: { replicas: 4 }, spec: { size: 9 } }, "/status");
    expect([written.body.metadata.generation, written.body.status, (written.body.spec as Dict).size]).toEqual([
      2,
      { replicas: 4 },
      3,
    ]);
    expect((await merge("one", { status: null })).body.status).toEqual({ replicas: 4 });
    const bad = await merge("one", { status: { replicas: "4" } }, "/status");
    expect(bad.body.message).toContain(
      'status.replicas: Invalid value: "string": status.replicas in body must be of type integer: "string"',
    );
  });

  it("scale by the paths of their definition", async () => {
    await merge("one", { status: { replicas: 4, selector: "app=x" } }, "/status");
    const { body } = await ask(api, "GET", `${widgets}/one/scale`);
    expect(body).toMatchObject({
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      spec: { replicas: 1 },
      status: { replicas: 4, selector: "app=x" },
    });
    const scaled = await ask(api, "PUT", `${widgets}/one/scale`, { ...body, spec: { replicas: 2 } });
    expect(scaled.body.spec).toEqual({ replicas: 2 });
    expect((await ask(api, "GET", `${widgets}/one`)).body.spec).toMatchObject({ replicas: 2 });
  });

  it("are owned field by field, keyed lists by their keys, sets by their values, atomic maps as a whole", async () => {
    const apply = (manager: string, spec: Dict, force = false) =>
      ask(
        api,
        "PATCH",
        `${widgets}/owned?fieldManager=${manager}&force=${force}`,
        widget("owned", spec),
        json("apply-patch+yaml"),
      );
    await apply("a", { size: 5, hosts: ["a"], parts: [{ name: "x", count: 1 }], atom: { a: "1" } });
    const both = await apply("b", { hosts: ["b"], parts: [{ name: "y", count: 2 }] });
    expect(both.body.spec).toMatchObject({
      hosts: ["a", "b"],
      parts: [
        { name: "x", count: 1 },
        { name: "y", count: 2 },
      ],
    });
    const refused = await apply("b", { hosts: ["b"], parts: [{ name: "x", count: 9 }] });
    expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "a": .spec.parts[name="x"].count');
    const atomic = await apply("b", { atom: { b: "2" } });
    expect(atomic.body.message).toBe('Apply failed with 1 conflict: conflict with "a": .spec.atom');
    const left = await apply("a", { size: 5 });
    expect(left.body.spec).toMatchObject({ hosts: ["b"], parts: [{ name: "y", count: 2 }] });
    const misfit = await apply("a", { size: 5, nothing: 1 });
    expect(misfit.body.message).toContain(".spec.nothing: field not declared in schema");
  });

  it("answer in every served version, with a Warning where it is deprecated", async () => {
    const old = await ask(api, "GET", "/apis/example.com/v1beta1/namespaces/default/widgets/one");
    expect(old.body).toMatchObject({ apiVersion: "example.com/v1beta1", kind: "Widget", spec: { size: 3 } });
    const list = await ask(api, "GET", "/apis/example.com/v1beta1/widgets");
    expect(list.body.items?.every((o) => o.apiVersion === "example.com/v1beta1")).toBe(true);
    const put = await ask(api, "PUT", "/apis/example.com/v1beta1/namespaces/default/widgets/one", {
      ...old.body,
      metadata: { ...old.body.metadata, annotations: { by: "v1beta1" } },
    });
    expect(put.body.apiVersion).toBe("example.com/v1beta1");
    expect((await ask(api, "GET", `${widgets}/one`)).body).toMatchObject({
      apiVersion: "example.com/v1",
      metadata: { annotations: { by: "v1beta1" } },
    });
    const watcher = await watch(api, "/apis/example.com/v1beta1/widgets?watch=true&fieldSelector=metadata.name=one");
    expect((await watcher.next()).object.apiVersion).toBe("example.com/v1beta1");
    await watcher.stop();
  });

  it("are selected by the definition's fields", async () => {
    const { body } = await ask(api, "GET", `${widgets}?fieldSelector=spec.color%3Dred,metadata.name%3Done`);
    expect(body.items?.map((o) => o.metadata.name)).toEqual(["one"]);
    const refused = await ask(api, "GET", `${widgets}?fieldSelector=spec.size%3D3`);
    expect([refused.status, refused.body.message]).toEqual([
      400,
      expect.stringContaining("field label not supported: spec.size"),
    ]);
  });

  it("take no protobuf and no strategic patch", async () => {
    const protobuf = await ask(api, "POST", widgets, "k8s", { "content-type": "application/vnd.kubernetes.protobuf" });
    expect([protobuf.status, protobuf.body.reason]).toEqual([415, "UnsupportedMediaType"]);
    const strategic = await ask(api, "PATCH", `${widgets}/one`, {}, json("strategic-merge-patch+json"));
    expect([strategic.status, strategic.body.message]).toEqual([
      415,
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    ]);
  });

  it("are subject to RBAC", async () => {
    const eve = server.localTransport({ name: "eve", groups: ["system:authenticated"] });
    const refused = await ask(eve, "GET", widgets);
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'widgets.example.com is forbidden: User "eve" cannot list resource "widgets" in API group "example.com" in the namespace "default"',
    ]);
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await ask(api, "POST", `${rbac}/clusterroles`, {
      metadata: { name: "widgets" },
      rules: [{ apiGroups: ["example.com"], resources: ["widgets"], verbs: ["list"] }],
    });
    await ask(api, "POST", `${rbac}/clusterrolebindings`, {
      metadata: { name: "widgets" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "widgets" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "eve" }],
    });
    expect((await ask(eve, "GET", widgets)).status).toBe(200);
  });
});

describe("a definition that changes", () => {
  it("gives discovery and OpenAPI new tags, ends watches, and counts for what is stored already", async () => {
    const tags = async () => {
      const paths = ["/apis", "/apis/example.com/v1", "/openapi/v3/apis/example.com/v1"];
      return Promise.all(paths.map(async (path) => (await ask(api, "GET", path)).headers.etag));
    };
    const index = async () => JSON.stringify((await ask(api, "GET", "/openapi/v3")).body);
    const [before, indexBefore] = [await tags(), await index()];
    const watcher = await watch(api, `${widgets}?watch=true&resourceVersion=${server.revision}`);
    await redefine(({ versions }) => {
      Object.assign(specOf(versions[0]).properties, { added: { type: "string", default: "later" } });
      delete specOf(versions[0]).properties.port;
      (versions[0] as Dict).additionalPrinterColumns = [{ name: "Added", type: "string", jsonPath: ".spec.added" }];
    });
    // An ended watch has no next line.
    expect(await watcher.next()).toBeNull();
    const after = await tags();
    expect(after[2]).not.toBe(before[2]);
    expect(await index()).not.toBe(indexBefore);
    const one = await ask(api, "GET", `${widgets}/one`);
    expect(one.body.spec).toMatchObject({ added: "later" });
    expect(one.body.spec).not.toHaveProperty("port");
    const table = await ask(api, "GET", widgets, undefined, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    const rows = (table.body as unknown as { rows: { cells: unknown[] }[] }).rows;
    expect(rows.find((row) => row.cells[0] === "one")?.cells).toEqual(["one", "later"]);
  });

  it("has APIServices for what is served", async () => {
    const { body } = await ask(api, "GET", "/apis/apiregistration.k8s.io/v1/apiservices");
    const mine = body.items
      ?.filter((o) => o.metadata.name.endsWith("example.com"))
      .map((o) => [o.metadata.name, o.spec]);
    const spec = { group: "example.com", groupPriorityMinimum: 1000, versionPriority: 100 };
    expect(mine).toEqual([
      ["v1.example.com", { ...spec, version: "v1" }],
      ["v1beta1.example.com", { ...spec, version: "v1beta1" }],
    ]);
  });

  it("no longer serves a version", async () => {
    await redefine(({ versions }) => {
      (versions[1] as Dict).served = false;
    });
    expect((await ask(api, "GET", "/apis/example.com/v1beta1/widgets")).status).toBe(404);
    expect((await ask(api, "GET", "/apis/example.com")).body).toMatchObject({ versions: [{ version: "v1" }] });
  });

  it("goes with its objects, and ends their watches after telling of each", async () => {
    const watcher = await watch(api, `${widgets}?watch=true&resourceVersion=${server.revision}`);
    const count = (await ask(api, "GET", widgets)).body.items?.length ?? 0;
    await ask(api, "DELETE", `${definitions}/widgets.example.com`);
    const seen: string[] = [];
    for (let event = await watcher.next(); event; event = await watcher.next()) seen.push(event.type);
    expect(seen).toEqual(Array.from({ length: count }, () => "DELETED"));
    expect((await ask(api, "GET", "/apis/example.com")).status).toBe(404);
    expect((await ask(api, "GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com")).status).toBe(404);
    const groups = (await ask(api, "GET", "/apis")).body as unknown as { groups: { name: string }[] };
    expect(groups.groups.map((g) => g.name)).not.toContain("example.com");
  });
});

describe("definitions that would do harm", () => {
  const definition = (group: string, plural: string, spec: Dict, annotations: Dict = {}) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, annotations },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural, singular: plural.slice(0, -1), kind: `Other${plural}` },
      versions: [{ name: "v9", served: true, storage: true, schema: { openAPIV3Schema: spec } }],
    },
  });

  it("a pattern that backtracks without end refuses the object, and the server goes on", {
    timeout: 30_000,
  }, async () => {
    const properties = { text: { type: "string", pattern: "^(\\p{L}+)+$" } };
    const made = await ask(
      api,
      "POST",
      definitions,
      definition("slow.example.com", "things", { type: "object", properties }),
    );
    expect(made.status).toBe(201);
    const thing = (text: string) => ({
      apiVersion: "slow.example.com/v9",
      kind: "Otherthings",
      metadata: { name: text.slice(0, 3) },
      text,
    });
    const things = "/apis/slow.example.com/v9/namespaces/default/things";
    const refused = await ask(api, "POST", things, thing(`${"a".repeat(60)}!`));
    expect(refused.status).toBe(422);
    expect(refused.body.message).toContain("its patterns or rules cost too much");
    expect((await ask(api, "POST", things, thing("short"))).status).toBe(201);
  });

  it("one with the name of what the server has itself is never served, and takes nothing along", async () => {
    const policies = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    await ask(api, "POST", policies, { metadata: { name: "kept" }, spec: { podSelector: {} } });
    const approved = { "api-approved.kubernetes.io": "https://example.com/1" };
    const made = await ask(
      api,
      "POST",
      definitions,
      definition("networking.k8s.io", "networkpolicies", { type: "object" }, approved),
    );
    expect(made.status).toBe(201);
    const one = `${definitions}/networkpolicies.networking.k8s.io`;
    expect((await ask(api, "GET", one)).body.status).toMatchObject({
      conditions: expect.arrayContaining([
        expect.objectContaining({
          type: "NamesAccepted",
          status: "False",
          message: '"networkpolicies" is already in use',
        }),
      ]),
    });
    expect((await ask(api, "GET", "/apis/networking.k8s.io/v9/networkpolicies")).status).toBe(404);
    await ask(api, "DELETE", one);
    await expect.poll(async () => (await ask(api, "GET", one)).status).toBe(404);
    expect((await ask(api, "GET", `${policies}/kept`)).status).toBe(200);
  });
});
