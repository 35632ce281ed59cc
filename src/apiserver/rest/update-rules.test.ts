import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { kinds } from "../kinds/registry.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const apiGroup = "rbac.authorization.k8s.io";
const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const needed = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update";

let test: TestServer;
let admin: Transport;

beforeAll(async () => {
  test = await startTestServer();
  admin = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
});
afterAll(() => test.stop());

/** Somebody who may use these verbs on leases. */
async function leaseUser(name: string, verbs: string[]): Promise<Transport> {
  const rules = [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs }];
  await ask(admin, "POST", `${rbac}/clusterroles`, { metadata: { name }, rules });
  await ask(admin, "POST", `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name },
    subjects: [{ apiGroup, kind: "User", name }],
  });
  return test.server.localTransport({ name, groups: ["system:authenticated"] });
}

describe("updates of what is not there and of what was not seen (pkg/registry/*/strategy.go)", () => {
  it("the kinds are upstream's", () => {
    const of = (flag: "createOnUpdate" | "unconditionalUpdate", value: boolean) =>
      [...new Set(kinds.filter((kind) => kind[flag] === value).map((kind) => kind.plural))].sort();
    expect(of("createOnUpdate", true)).toEqual([
      "clusterrolebindings",
      "clusterroles",
      "endpoints",
      "events",
      "leases",
      "limitranges",
      "rolebindings",
      "roles",
      "runtimeclasses",
      "services",
    ]);
    expect(of("unconditionalUpdate", false)).toEqual([
      "apiservices",
      "csidrivers",
      "csinodes",
      "csistoragecapacities",
      "customresourcedefinitions",
      "leases",
      "mutatingadmissionpolicies",
      "mutatingadmissionpolicybindings",
      "mutatingwebhookconfigurations",
      "poddisruptionbudgets",
      "runtimeclasses",
      "validatingadmissionpolicies",
      "validatingadmissionpolicybindings",
      "validatingwebhookconfigurations",
      "volumeattachments",
    ]);
  });

  it("a lease is updated by who says which version was seen", async () => {
    const made = (await ask(admin, "POST", leases, { metadata: { name: "seen" } })).body;
    const put = (metadata: object) => ask(admin, "PUT", `${leases}/seen`, { metadata, spec: { holderIdentity: "a" } });
    for (const metadata of [{ name: "seen" }, { name: "seen", resourceVersion: "0" }]) {
      const { status, body } = await put(metadata);
      expect([status, body.reason, body.message]).toEqual([
        422,
        "Invalid",
        `leases.coordination.k8s.io "seen" is invalid: ${needed}`,
      ]);
    }
    expect((await put({ name: "seen", resourceVersion: made.metadata.resourceVersion })).status).toBe(200);
    const merge = { "content-type": "application/merge-patch+json" };
    expect((await ask(admin, "PATCH", `${leases}/seen`, { spec: { holderIdentity: "b" } }, merge)).status).toBe(200);
    const apply = { "content-type": "application/apply-patch+yaml" };
    const applied = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", spec: { leaseDurationSeconds: 5 } };
    expect((await ask(admin, "PATCH", `${leases}/seen?fieldManager=m`, applied, apply)).status).toBe(200);
  });

  it("a ConfigMap is updated whatever was seen, and not created by PUT", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    await ask(admin, "POST", path, { metadata: { name: "c" } });
    expect((await ask(admin, "PUT", `${path}/c`, { metadata: { name: "c" }, data: { a: "b" } })).status).toBe(200);
    expect((await ask(admin, "PUT", `${path}/d`, { metadata: { name: "d" } })).body.reason).toBe("NotFound");
  });

  it("objects of definitions need the version", async () => {
    const group = "update.example.com";
    const served = { name: "v1", served: true, storage: true };
    const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
    await ask(admin, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: `things.${group}` },
      spec: { group, scope: "Cluster", names: { plural: "things", kind: "Thing" }, versions: [{ ...served, schema }] },
    });
    const path = `/apis/${group}/v1/things`;
    const thing = { apiVersion: `${group}/v1`, kind: "Thing", metadata: { name: "t" } };
    await expect.poll(async () => (await ask(admin, "POST", path, thing)).body.reason).toBe("AlreadyExists");
    const { status, body } = await ask(admin, "PUT", `${path}/t`, thing);
    expect([status, body.message]).toEqual([422, `things.${group} "t" is invalid: ${needed}`]);
    expect((await ask(admin, "PUT", `${path}/u`, { ...thing, metadata: { name: "u" } })).status).toBe(404);
  });

  it("a PUT creates a lease, for those who may create one", async () => {
    const put = (who: Transport, name: string, metadata = {}) =>
      ask(who, "PUT", `${leases}/${name}`, { metadata: { name, ...metadata }, spec: { holderIdentity: "a" } });
    expect((await put(admin, "new")).status).toBe(201);
    expect((await put(admin, "gone", { resourceVersion: "5" })).status).toBe(201);
    expect((await put(admin, "other", { uid: "u" })).body.message).toContain("UID in precondition: u");
    const updater = await leaseUser("updater", ["update", "patch"]);
    const refused = await put(updater, "not-mine");
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'leases.coordination.k8s.io "not-mine" is forbidden: User "updater" cannot create resource "leases" in API group "coordination.k8s.io" in the namespace "default"',
    ]);
    expect((await put(await leaseUser("both", ["update", "create"]), "mine")).status).toBe(201);
    // Neither does server-side apply create what its user may not.
    const apply = { "content-type": "application/apply-patch+yaml" };
    const applied = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
    expect((await ask(updater, "PATCH", `${leases}/no?fieldManager=m`, applied, apply)).status).toBe(403);
    expect((await ask(updater, "PATCH", `${leases}/new?fieldManager=m`, applied, apply)).status).toBe(200);
  });

  it("a PUT creates a Service with an address and a role only as far as its author's rights reach", async () => {
    const service = { metadata: { name: "s" }, spec: { ports: [{ port: 80 }] } };
    const made = await ask(admin, "PUT", "/api/v1/namespaces/default/services/s", service);
    expect([made.status, (made.body.spec as { clusterIP: string }).clusterIP]).toEqual([
      201,
      expect.stringMatching(/^10\./),
    ]);
    await ask(admin, "POST", `${rbac}/clusterroles`, {
      metadata: { name: "role-writer" },
      rules: [{ apiGroups: [apiGroup], resources: ["roles"], verbs: ["create", "update"] }],
    });
    await ask(admin, "POST", `${rbac}/clusterrolebindings`, {
      metadata: { name: "role-writer" },
      roleRef: { apiGroup, kind: "ClusterRole", name: "role-writer" },
      subjects: [{ apiGroup, kind: "User", name: "role-writer" }],
    });
    const writer = test.server.localTransport({ name: "role-writer", groups: [] });
    const rules = [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }];
    const role = { metadata: { name: "r" }, rules };
    expect((await ask(writer, "PUT", `${rbac}/namespaces/default/roles/r`, role)).body.message).toContain(
      "is attempting to grant RBAC permissions not currently held",
    );
  });
});
