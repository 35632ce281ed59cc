import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict, FieldSet, ManagedFieldsEntry } from "../object.ts";
import { Schema } from "../schema/schema.ts";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";
import { difference, isEmpty, union } from "./field-set.ts";
import { fieldsOf, rootNode } from "./typed.ts";

let local: LocalServer;
const maps = "/api/v1/namespaces/default/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";
const json = (type: string) => ({ "content-type": `application/${type}` });

beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

const apply = (path: string, body: Dict, manager: string, force = false) =>
  ask(local.api, "PATCH", `${path}?fieldManager=${manager}&force=${force}`, body, json("apply-patch+yaml"));
const map = (name: string, data: Dict): Dict => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
const entriesOf = (object: { metadata: { managedFields?: ManagedFieldsEntry[] } }) =>
  object.metadata.managedFields ?? [];

describe("managedFields of every write", () => {
  const labels = { app: "d" };
  const deployment = {
    metadata: { name: "d" },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x:1" }] } },
    },
  };

  it("of a create: what was sent and its defaults, not what admission and storage add", async () => {
    const { body } = await ask(local.api, "POST", "/api/v1/namespaces/default/services?fieldManager=kubectl-create", {
      metadata: { name: "s", labels },
      spec: { ports: [{ port: 80 }], selector: labels },
    });
    expect(body.spec).toHaveProperty("clusterIP");
    // As `kubectl get svc -o yaml --show-managed-fields` shows it after `kubectl create`.
    expect(
      entriesOf(body).map((e) => [e.manager, e.operation, e.apiVersion, e.fieldsType, e.subresource, e.fieldsV1]),
    ).toEqual([
      [
        "kubectl-create",
        "Update",
        "v1",
        "FieldsV1",
        undefined,
        {
          "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
          "f:spec": {
            "f:internalTrafficPolicy": {},
            "f:ports": {
              ".": {},
              'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {} },
            },
            "f:selector": {},
            "f:sessionAffinity": {},
            "f:type": {},
          },
        },
      ],
    ]);
    expect(JSON.stringify(entriesOf(body)[0]?.fieldsV1)).toMatch(
      /^\{"f:metadata":.*"f:spec":\{"f:internalTrafficPolicy":/,
    );
  });

  it("of the status and of the scale, each with its subresource", async () => {
    await ask(local.api, "POST", `${deployments}?fieldManager=maker`, deployment);
    await ask(
      local.api,
      "PATCH",
      `${deployments}/d/scale?fieldManager=scaler`,
      { spec: { replicas: 4 } },
      json("merge-patch+json"),
    );
    await ask(
      local.api,
      "PATCH",
      `${deployments}/d/status?fieldManager=controller`,
      { status: { replicas: 4 } },
      json("merge-patch+json"),
    );
    const { body } = await ask(local.api, "GET", `${deployments}/d`);
    const of = (manager: string) => entriesOf(body).find((e) => e.manager === manager);
    expect(of("scaler")).toMatchObject({
      operation: "Update",
      subresource: "scale",
      fieldsV1: { "f:spec": { "f:replicas": {} } },
    });
    expect(of("maker")?.fieldsV1?.["f:spec"]).not.toHaveProperty("f:replicas");
    expect(of("controller")).toMatchObject({ subresource: "status", fieldsV1: { "f:status": { "f:replicas": {} } } });
    const refused = await apply(
      `${deployments}/d`,
      { ...deployment, apiVersion: "apps/v1", kind: "Deployment", spec: { ...deployment.spec, replicas: 2 } },
      "one",
    );
    expect([refused.status, refused.body.message]).toEqual([
      409,
      'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas',
    ]);
    expect(refused.body.details).toEqual({
      causes: [
        {
          reason: "FieldManagerConflict",
          message: 'conflict with "scaler" with subresource "scale" using apps/v1',
          field: ".spec.replicas",
        },
      ],
    });
  });

  it("of a status is not the main resource's to apply", async () => {
    const body = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" }, status: { replicas: 9 } };
    const main = await apply(`${deployments}/d`, body, "status-main", true);
    expect(entriesOf(main.body).some((e) => e.manager === "status-main")).toBe(false);
    const status = await apply(`${deployments}/d/status`, body, "status-sub", true);
    expect(entriesOf(status.body).find((e) => e.manager === "status-sub")).toMatchObject({
      operation: "Apply",
      subresource: "status",
      fieldsV1: { "f:status": { "f:replicas": {} } },
    });
  });

  it("are forgotten by an empty list, and stay so until somebody applies", async () => {
    for (const [i, managedFields] of [[], [{}]].entries()) {
      const path = `${maps}/reset${i}`;
      await apply(path, map(`reset${i}`, { a: "1" }), "one");
      const patch = [{ op: "replace", path: "/metadata/managedFields", value: managedFields }];
      const reset = await ask(local.api, "PATCH", path, patch, json("json-patch+json"));
      expect(entriesOf(reset.body)).toEqual([]);
      const put = await ask(local.api, "PATCH", path, { data: { a: "2" } }, json("merge-patch+json"));
      expect(entriesOf(put.body)).toEqual([]);
      const refused = await apply(path, map(`reset${i}`, { a: "3" }), "two");
      expect(refused.body.message).toBe(
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
      );
    }
  });

  it("tell ten updaters apart and join the oldest", async () => {
    await ask(local.api, "POST", `${maps}?fieldManager=u0`, map("many", { k0: "x" }));
    for (let i = 1; i <= 14; i++)
      await ask(
        local.api,
        "PATCH",
        `${maps}/many?fieldManager=u${i}`,
        { data: { [`k${i}`]: "x" } },
        json("merge-patch+json"),
      );
    const entries = entriesOf((await ask(local.api, "GET", `${maps}/many`)).body);
    expect(entries.filter((e) => e.operation === "Update")).toHaveLength(10);
    expect(entries.map((e) => e.manager)).toContain("ancient-changes");
    const all = entries.reduce<FieldSet>((set, e) => union(set, e.fieldsV1 ?? {}), {});
    expect(Object.keys(all["f:data"] ?? {})).toHaveLength(16);
  });

  it("keep their time when nothing changes, and the object its resourceVersion", async () => {
    const first = await apply(`${maps}/same`, map("same", { a: "1" }), "one");
    const again = await apply(`${maps}/same`, map("same", { a: "1" }), "one");
    expect(again.body).toEqual(first.body);
  });

  it("cannot be applied to an object that is thought to exist and does not", async () => {
    const refused = await apply(`${maps}/ghost`, { ...map("ghost", {}), metadata: { name: "ghost", uid: "u" } }, "one");
    expect([refused.status, refused.body.message]).toEqual([
      409,
      'Operation cannot be fulfilled on configmaps "ghost": uid mismatch: the provided object specified uid u, and no existing object was found',
    ]);
  });
});

describe("server-side apply (property)", () => {
  const schema = new Schema();
  const node = rootNode(schema, "core.v1.ConfigMap");
  const data = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2"), {
    minKeys: 1,
    maxKeys: 4,
  });
  const step = fc.record({ manager: fc.constantFrom("one", "two"), data, force: fc.boolean() });

  it("owners cover what was applied, an apply again changes nothing, and nobody's field stays", async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        const name = `p${n++}`;
        const wanted = new Map<string, Dict>();
        for (const { manager, data: values, force } of steps) {
          const { status, body } = await apply(`${maps}/${name}`, map(name, values), manager, force);
          expect([200, 201, 409]).toContain(status);
          if (status === 409) continue;
          wanted.set(manager, values);
          expect(body.data ?? {}).toMatchObject(values);
          const owned = entriesOf(body).reduce<FieldSet>((set, e) => union(set, e.fieldsV1 ?? {}), {});
          const held = fieldsOf(schema, { data: body.data ?? {} }, node);
          expect(difference(body.data ? held : {}, owned)).toEqual({});
          const again = await apply(`${maps}/${name}`, map(name, values), manager, force);
          expect(again.body.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
        }
        const { body } = await ask(local.api, "GET", `${maps}/${name}`);
        const named = new Set([...wanted.values()].flatMap((values) => Object.keys(values)));
        expect(Object.keys((body.data ?? {}) as Dict).filter((key) => !named.has(key))).toEqual([]);
        expect(entriesOf(body).every((e) => !isEmpty(e.fieldsV1 ?? {}))).toBe(true);
      }),
      { seed: 11, numRuns: 60 },
    );
  });
});

describe("U01 kubectl apply --server-side over what was applied client-side (part: migration of managers)", {
  timeout: 60_000,
}, () => {
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
  });
  afterAll(() => test.stop());

  it("takes over without a conflict, and shows managers and the last applied configuration", async () => {
    const file = join(test.directory, "m.yaml");
    const kubectl = process.env.PODWIRE_TEST_KUBECTL ?? "kubectl";
    const k = async (...args: string[]) => {
      const all = ["--kubeconfig", test.kubeconfig, "--cache-dir", join(test.directory, "cache"), ...args];
      return (await promisify(execFile)(kubectl, all, { timeout: 30_000 })).stdout;
    };
    writeFileSync(file, JSON.stringify(map("m", { a: "1", b: "2" })));
    await k("apply", "-f", file);
    writeFileSync(file, JSON.stringify(map("m", { a: "3" })));
    expect(await k("apply", "--server-side", "-f", file)).toBe("configmap/m serverside-applied\n");
    const shown = JSON.parse(await k("get", "cm", "m", "-o", "json", "--show-managed-fields")) as {
      data: Dict;
      metadata: { managedFields: ManagedFieldsEntry[] };
    };
    expect(shown.data).toEqual({ a: "3" });
    expect(shown.metadata.managedFields.map((e) => `${e.manager} ${e.operation}`)).not.toContain(
      "kubectl-client-side-apply Update",
    );
    expect(shown.metadata.managedFields.find((e) => e.manager === "kubectl")).toMatchObject({ operation: "Apply" });
    expect(await k("get", "cm", "m", "-o", "yaml")).not.toContain("managedFields");
    expect(await k("apply", "view-last-applied", "cm/m", "-o", "json")).toContain('"a": "3"');
  });
});

it("a label with a name that every object of JavaScript has is owned, and its owner loses it with it", async () => {
  const owned = async (manager: string) => {
    const { body } = await ask(local.api, "GET", `${maps}/proto`);
    const entry = entriesOf(body).find((e) => e.manager === manager);
    return Object.keys((entry?.fieldsV1?.["f:data"] ?? {}) as FieldSet).filter((name) => name !== ".");
  };
  await apply(`${maps}/proto`, map("proto", { constructor: "1", other: "1" }), "a");
  await apply(`${maps}/proto`, map("proto", { constructor: "2", other: "1" }), "b", true);
  expect([await owned("a"), (await owned("b")).sort()]).toEqual([["f:other"], ["f:constructor", "f:other"]]);
  const patched = await ask(
    local.api,
    "PATCH",
    `${maps}/proto?fieldManager=c`,
    { data: { constructor: null } },
    json("merge-patch+json"),
  );
  expect((patched.body as unknown as { data: Dict }).data).toEqual({ other: "1" });
  expect(await owned("b")).toEqual(["f:other"]);
});
