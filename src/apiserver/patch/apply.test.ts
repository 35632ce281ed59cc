import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import type { Dict } from "../object.ts";
import { type ApiServer, createApiServer } from "../server.ts";
import { signingKey, TestAuthority } from "../testing/certificates.ts";
import { ask } from "../testing/client.ts";

let server: ApiServer;
let api: Transport;
const path = "/apis/apps/v1/namespaces/default/deployments";

beforeAll(async () => {
  server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: await (await TestAuthority.create()).issue("kube-apiserver"),
      serviceAccounts: { issuer: "https://issuer", signingKey: signingKey() },
      services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    },
    { log: createLogger("kube-apiserver") },
  );
  api = server.localTransport({ name: "admin", groups: ["system:masters"] });
});
afterAll(() => server.stop());

/** A configuration as text: JSON is YAML. */
function configuration(name: string, spec: Dict = {}, container: Dict = {}): Dict {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, labels },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x:1", ...container }] } },
      ...spec,
    },
  };
}

const apply = (name: string, body: Dict, manager: string, query = "") =>
  ask(api, "PATCH", `${path}/${name}?fieldManager=${manager}${query}`, body, {
    "content-type": "application/apply-patch+yaml",
  });

type Fields = Record<string, Dict>;
const owned = (
  body: {
    metadata: { managedFields?: { manager?: string; operation?: string; subresource?: string; fieldsV1?: unknown }[] };
  },
  manager: string,
) => body.metadata.managedFields?.find((e) => e.manager === manager)?.fieldsV1 as Fields | undefined;

describe("server-side apply", () => {
  it("creates, owns what is written and no defaults", async () => {
    const made = await apply("a", configuration("a", { replicas: 3 }), "one");
    expect(made.status).toBe(201);
    const spec = owned(made.body, "one")?.["f:spec"] as Fields;
    expect(Object.keys(spec).sort()).toEqual(["f:replicas", "f:selector", "f:template"]);
    expect(made.body.spec).toMatchObject({ progressDeadlineSeconds: 600 });
    const container = (spec["f:template"] as unknown as { "f:spec": { "f:containers": Fields } })["f:spec"][
      "f:containers"
    ];
    expect(container).toEqual({ 'k:{"name":"c"}': { ".": {}, "f:image": {}, "f:name": {} } });
  });

  it("needs a manager", async () => {
    const refused = await ask(api, "PATCH", `${path}/a`, configuration("a"), {
      "content-type": "application/apply-patch+yaml",
    });
    expect(refused.body.message).toContain("fieldManager: Required value: is required for apply patch");
  });

  it("conflicts with another manager's different value, shares an equal one, and takes it by force", async () => {
    await apply("b", configuration("b", { replicas: 3 }), "one");
    const equal = await apply("b", configuration("b", { replicas: 3 }), "two");
    expect(equal.status).toBe(200);
    const refused = await apply("b", configuration("b", { replicas: 5 }), "two");
    expect(refused.status).toBe(409);
    expect(refused.body.message).toBe('Apply failed with 1 conflict: conflict with "one": .spec.replicas');
    expect(refused.body.details).toEqual({
      causes: [{ reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".spec.replicas" }],
    });
    const forced = await apply("b", configuration("b", { replicas: 5 }), "two", "&force=true");
    expect(forced.body.spec).toMatchObject({ replicas: 5 });
    expect(owned(forced.body, "one")?.["f:spec"]).not.toHaveProperty("f:replicas");
  });

  it("removes what the manager no longer names, unless another owns it", async () => {
    await apply(
      "c",
      configuration(
        "c",
        { replicas: 3, minReadySeconds: 5 },
        {
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "2" },
          ],
        },
      ),
      "one",
    );
    await apply("c", { ...configuration("c"), spec: { minReadySeconds: 5 } }, "two");
    const less = await apply("c", configuration("c", {}, { env: [{ name: "B", value: "2" }] }), "one");
    const spec = less.body.spec as unknown as {
      replicas: number;
      minReadySeconds: number;
      template: { spec: { containers: Dict[] } };
    };
    // replicas falls back to its default, minReadySeconds is the other manager's still.
    expect([spec.replicas, spec.minReadySeconds]).toEqual([1, 5]);
    expect(spec.template.spec.containers[0]?.env).toEqual([{ name: "B", value: "2" }]);
  });

  it("removes a list item with its defaults", async () => {
    const ports = (...numbers: number[]) => ({ ports: numbers.map((containerPort) => ({ containerPort })) });
    await apply("d", configuration("d", {}, ports(80, 81)), "one");
    const less = await apply("d", configuration("d", {}, ports(81)), "one");
    const spec = less.body.spec as unknown as { template: { spec: { containers: Dict[] } } };
    expect(spec.template.spec.containers[0]?.ports).toEqual([{ containerPort: 81, protocol: "TCP" }]);
  });

  it("counts other writes as updates of their manager, subresources apart", async () => {
    await apply("e", configuration("e", { replicas: 3 }), "one");
    await ask(
      api,
      "PATCH",
      `${path}/e/scale?fieldManager=scaler`,
      { spec: { replicas: 7 } },
      { "content-type": "application/merge-patch+json" },
    );
    const { body } = await ask(
      api,
      "PATCH",
      `${path}/e/status?fieldManager=controller`,
      { status: { replicas: 7 } },
      { "content-type": "application/merge-patch+json" },
    );
    const entries = body.metadata.managedFields?.map((m) => [m.manager, m.operation, m.subresource]);
    expect(entries).toEqual([
      ["one", "Apply", undefined],
      ["controller", "Update", "status"],
      ["scaler", "Update", "scale"],
    ]);
    expect(owned(body, "scaler")).toEqual({ "f:spec": { "f:replicas": {} } });
    expect(owned(body, "controller")).toEqual({ "f:status": { "f:replicas": {} } });
    const refused = await apply("e", configuration("e", { replicas: 3 }), "one");
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas',
    );
    const without = await apply("e", configuration("e"), "one");
    expect([without.status, (without.body.spec as Dict).replicas]).toEqual([200, 7]);
  });

  it("lists several conflicts by manager", async () => {
    await ask(api, "POST", `${path}?fieldManager=maker`, configuration("f", { replicas: 3, minReadySeconds: 1 }));
    const refused = await apply("f", configuration("f", { replicas: 4, minReadySeconds: 2 }), "one");
    expect(refused.body.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "maker" using apps/v1:\n- .spec.minReadySeconds\n- .spec.replicas',
    );
  });

  it("drops all ownership when told to", async () => {
    const { body } = await apply("g", configuration("g"), "one");
    const put = await ask(api, "PUT", `${path}/g?fieldManager=other`, {
      ...body,
      metadata: { ...body.metadata, managedFields: [{}] },
    });
    expect(put.body.metadata.managedFields).toBeUndefined();
  });

  it("refuses managedFields and unknown fields in a configuration", async () => {
    const given = configuration("h");
    const owned = await apply(
      "h",
      { ...given, metadata: { ...(given.metadata as Dict), managedFields: [{ manager: "x" }] } },
      "one",
    );
    expect(owned.body.message).toBe("metadata.managedFields must be nil");
    const strict = await apply(
      "h",
      { ...given, spec: { ...(given.spec as Dict), bogus: 1 } },
      "one",
      "&fieldValidation=Strict",
    );
    expect(strict.body.message).toBe(
      "failed to create typed patch object (/h; apps/v1, Kind=Deployment): .spec.bogus: field not declared in schema",
    );
  });
});
