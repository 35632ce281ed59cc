import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { createApiServer } from "../server.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

const run = promisify(execFile);
const rbacPath = "/apis/rbac.authorization.k8s.io/v1";
const apiGroup = "rbac.authorization.k8s.io";

let test: TestServer;
let admin: Transport;

beforeAll(async () => {
  test = await startTestServer();
  admin = test.server.localTransport({ name: "admin", groups: ["system:masters", "system:authenticated"] });
  await ask(admin, "POST", "/api/v1/namespaces", { metadata: { name: "dev" } });
  await ask(admin, "POST", "/api/v1/namespaces/dev/serviceaccounts", { metadata: { name: "bot" } });
});
afterAll(() => test.stop());

const user = (name: string, ...groups: string[]): Transport =>
  test.server.localTransport({ name, groups: [...groups, "system:authenticated"] });

async function bind(name: string, role: string, subject: string, namespace = ""): Promise<void> {
  const path = namespace ? `${rbacPath}/namespaces/${namespace}/rolebindings` : `${rbacPath}/clusterrolebindings`;
  const made = await ask(admin, "POST", path, {
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup, kind: "User", name: subject }],
  });
  expect(made.status).toBe(201);
}

async function grant(name: string, subject: string, rules: object[]): Promise<void> {
  await ask(admin, "POST", `${rbacPath}/clusterroles`, { metadata: { name }, rules });
  await bind(name, name, subject);
}

/** kubectl's output, both streams; its failure too. */
async function kubectl(...args: string[]): Promise<string> {
  const program = process.env.PODWIRE_TEST_KUBECTL ?? "kubectl";
  const full = ["--kubeconfig", test.kubeconfig, "--cache-dir", join(test.directory, "cache"), ...args];
  const { stdout, stderr } = await run(program, full).catch((error: { stdout: string; stderr: string }) => error);
  return (stdout + stderr).trimEnd();
}

describe("impersonation", () => {
  it("takes users, groups, uids, extra with encoded keys, and service accounts", async () => {
    const self = async (headers: Record<string, string>) => {
      const { body } = await ask(admin, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, headers);
      return (body.status as { userInfo: unknown }).userInfo;
    };
    expect(
      await self({
        "impersonate-user": "eve",
        "impersonate-group": "team",
        "impersonate-uid": "u-1",
        "impersonate-extra-example.com%2fscopes": "view",
      }),
    ).toEqual({
      username: "eve",
      uid: "u-1",
      groups: ["team", "system:authenticated"],
      extra: { "example.com/scopes": ["view"] },
    });
    expect(await self({ "impersonate-user": "system:serviceaccount:dev:bot" })).toEqual({
      username: "system:serviceaccount:dev:bot",
      groups: ["system:serviceaccounts", "system:serviceaccounts:dev", "system:authenticated"],
    });
  });

  it("needs a permission for each part", async () => {
    const jane = user("jane");
    const message = async (headers: Record<string, string>) =>
      (await ask(jane, "GET", "/api", undefined, headers)).body.message;
    expect(await message({ "impersonate-user": "eve" })).toBe(
      'users "eve" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
    expect(await message({ "impersonate-user": "system:serviceaccount:dev:bot" })).toBe(
      'serviceaccounts "bot" is forbidden: User "jane" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "dev"',
    );
    await grant("impersonate-eve", "jane", [
      { apiGroups: [""], resources: ["users"], verbs: ["impersonate"], resourceNames: ["eve"] },
    ]);
    expect(await message({ "impersonate-user": "eve", "impersonate-group": "team" })).toBe(
      'groups "team" is forbidden: User "jane" cannot impersonate resource "groups" in API group "" at the cluster scope',
    );
    expect(await message({ "impersonate-user": "eve", "impersonate-extra-scopes": "view" })).toBe(
      'userextras.authentication.k8s.io "view" is forbidden: User "jane" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
    );
    expect((await ask(jane, "GET", "/api", undefined, { "impersonate-user": "eve" })).status).toBe(200);
  });

  it("refuses groups without a user", async () => {
    const answer = await ask(admin, "GET", "/api", undefined, { "impersonate-group": "team" });
    expect([answer.status, answer.body.message]).toEqual([
      500,
      expect.stringContaining("requested [{Group  team    }] without impersonating a user"),
    ]);
  });

  it("is kubectl's --as, --as-group and --as-uid", async () => {
    const flags = ["--as=eve", "--as-group=ops", "--as-group=devs", "--as-uid=42"];
    const text = await kubectl("auth", "whoami", ...flags);
    expect(text.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
      "ATTRIBUTE VALUE",
      "Username eve",
      "UID 42",
      "Groups [ops devs system:authenticated]",
    ]);
    expect(await kubectl("get", "pods", "-n", "dev", "--as=eve")).toBe(
      'Error from server (Forbidden): pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "dev"',
    );
  });
});

describe("kubectl auth can-i", () => {
  it("answers for oneself and others, resources, subresources and paths", async () => {
    await bind("dev-view", "view", "viewer", "dev");
    const cani = (...args: string[]) => kubectl("auth", "can-i", ...args, "--as=viewer", "-n", "dev");
    expect(await cani("list", "pods")).toBe("yes");
    expect(await cani("get", "pods", "--subresource=log")).toBe("yes");
    expect(await cani("create", "pods")).toBe("no");
    expect(await cani("get", "/healthz")).toBe("yes");
    expect(await cani("get", "/metrics")).toBe("no");
    expect(await kubectl("auth", "can-i", "*", "*", "--all-namespaces")).toBe("yes");
  });

  it("lists what one may", async () => {
    const text = (await kubectl("auth", "can-i", "--list", "--as=viewer", "-n", "dev")).replace(/ +/g, " ");
    expect(text).toContain("selfsubjectreviews.authentication.k8s.io [] [] [create]");
    expect(text).toContain("pods [] [] [get list watch]");
    expect(text).toContain(" [/healthz] [] [get]");
    expect(text).not.toContain("secrets");
  });

  it("is told by SubjectAccessReview, with the reason", async () => {
    const review = (spec: object, path = "subjectaccessreviews") =>
      ask(admin, "POST", `/apis/authorization.k8s.io/v1/${path}`, { spec });
    const resourceAttributes = { namespace: "dev", verb: "list", resource: "pods" };
    expect((await review({ user: "viewer", resourceAttributes })).body.status).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "dev-view/dev" of ClusterRole "view" to User "viewer"',
    });
    expect((await review({ user: "viewer", groups: [], resourceAttributes: { verb: "get" } })).body.status).toEqual({
      allowed: false,
    });
    expect((await review({ resourceAttributes })).body.message).toBe(
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
    );
    expect((await review({ user: "a" })).body.message).toBe(
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
    const local = await review(
      { user: "viewer", resourceAttributes: { ...resourceAttributes, namespace: "default" } },
      "namespaces/dev/localsubjectaccessreviews",
    );
    expect([local.status, local.body.message]).toEqual([
      400,
      "spec.resourceAttributes.namespace must match namespace: dev",
    ]);
  });
});

describe("roles and bindings", () => {
  it("are not given to others by those who do not hold them", async () => {
    await grant("role-writer", "writer", [
      { apiGroups: [apiGroup], resources: ["roles", "rolebindings", "clusterroles"], verbs: ["*"] },
    ]);
    // The star above holds escalate and bind too: somebody with plain verbs is the one to look at.
    await grant("plain-writer", "plain", [
      {
        apiGroups: [apiGroup],
        resources: ["roles", "rolebindings", "clusterroles"],
        verbs: ["create", "update", "patch", "get"],
      },
      { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
    ]);
    const plain = user("plain");
    const role = (name: string, verbs: string[]) => ({
      metadata: { name },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs }],
    });
    const roles = `${rbacPath}/namespaces/dev/roles`;
    expect((await ask(plain, "POST", roles, role("fine", ["get"]))).status).toBe(201);
    const refused = await ask(plain, "POST", roles, role("more", ["get", "delete", "list"]));
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "plain" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete" "list"]}',
    ]);
    const updated = await ask(plain, "PUT", `${roles}/fine`, role("fine", ["*"]));
    expect(updated.body.message).toContain('{APIGroups:[""], Resources:["pods"], Verbs:["*"]}');
    const bindings = `${rbacPath}/namespaces/dev/rolebindings`;
    const binding = (name: string, to: string) => ({
      metadata: { name },
      roleRef: { apiGroup, kind: "ClusterRole", name: to },
      subjects: [{ apiGroup, kind: "User", name: "friend" }],
    });
    const bound = await ask(plain, "POST", bindings, binding("b", "view"));
    expect([bound.status, bound.body.message]).toEqual([
      403,
      expect.stringMatching(/^rolebindings\.rbac\.authorization\.k8s\.io "b" is forbidden: user "plain" \(groups=/),
    ]);
    expect((await ask(plain, "POST", bindings, binding("b", "none"))).body.message).toBe(
      'clusterrole.rbac.authorization.k8s.io "none" not found',
    );
    const gathering = { metadata: { name: "gathering" }, aggregationRule: { clusterRoleSelectors: [{}] } };
    expect((await ask(plain, "POST", `${rbacPath}/clusterroles`, gathering)).body.message).toBe(
      'clusterroles.rbac.authorization.k8s.io "gathering" is forbidden: must have cluster-admin privileges to use the aggregationRule',
    );
    await grant("may-bind-view", "plain", [
      { apiGroups: [apiGroup], resources: ["clusterroles"], verbs: ["bind"], resourceNames: ["view"] },
    ]);
    expect((await ask(plain, "POST", bindings, binding("b", "view"))).status).toBe(201);
    expect((await ask(user("writer"), "POST", roles, role("by-escalation", ["*"]))).status).toBe(201);
  });

  it("keep their roleRef", async () => {
    await bind("fixed", "view", "x", "dev");
    const { body } = await ask(admin, "GET", `${rbacPath}/namespaces/dev/rolebindings/fixed`);
    const other = { ...body, roleRef: { apiGroup, kind: "ClusterRole", name: "edit" } };
    expect((await ask(admin, "PUT", `${rbacPath}/namespaces/dev/rolebindings/fixed`, other)).body.message).toMatch(
      /^RoleBinding\.rbac\.authorization\.k8s\.io "fixed" is invalid: roleRef: Invalid value: .*: cannot change roleRef$/,
    );
  });

  it("gather the rules of labelled roles, also at second hand", async () => {
    const rulesOf = async (name: string) =>
      (await ask(admin, "GET", `${rbacPath}/clusterroles/${name}`)).body.rules as object[];
    const rule = { apiGroups: ["example.com"], resources: ["things"], verbs: ["get"] };
    expect(await rulesOf("admin")).not.toContainEqual(rule);
    await ask(admin, "POST", `${rbacPath}/clusterroles`, {
      metadata: { name: "things-view", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
      rules: [rule],
    });
    for (const name of ["view", "edit", "admin"]) await expect.poll(() => rulesOf(name)).toContainEqual(rule);
    await ask(admin, "DELETE", `${rbacPath}/clusterroles/things-view`);
    for (const name of ["view", "edit", "admin"]) await expect.poll(() => rulesOf(name)).not.toContainEqual(rule);
  });

  it("gather no more than an object can hold, and the server goes on", async () => {
    const roles = `${rbacPath}/clusterroles`;
    const big = Array.from({ length: 900 }, (_, i) => "x".repeat(1000) + i);
    for (const name of ["big1", "big2"])
      await ask(admin, "POST", roles, {
        metadata: { name, labels: { gather: "much" } },
        rules: [{ apiGroups: [name], resources: big, verbs: ["get"] }],
      });
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { gather: "much" } }] };
    const made = await ask(admin, "POST", roles, { metadata: { name: "much" }, aggregationRule, rules: [] });
    expect(made.status).toBe(201);
    for (const name of ["big1", "big2", "much"])
      expect((await ask(admin, "DELETE", `${roles}/${name}`)).status).toBe(200);
  });

  it("are reconciled by kubectl auth reconcile", async () => {
    const { writeFileSync } = await import("node:fs");
    const file = join(test.directory, "roles.yaml");
    const text = (verbs: string) =>
      `apiVersion: ${apiGroup}/v1\nkind: Role\nmetadata: {name: reconciled, namespace: dev}\nrules:\n- {apiGroups: [""], resources: [pods], verbs: [${verbs}]}\n`;
    writeFileSync(file, text("get"));
    expect(await kubectl("auth", "reconcile", "-f", file)).toContain(
      "role.rbac.authorization.k8s.io/reconciled reconciled",
    );
    writeFileSync(file, text("get, list"));
    expect(await kubectl("auth", "reconcile", "-f", file)).toContain("missing rules added");
  });
});

describe("default roles", () => {
  it("come back when the server starts, but not where somebody has said no", async () => {
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const directory = mkdtempSync(join(tmpdir(), "podwire-roles-"));
    const start = () => {
      const { listen: _listen, ...options } = test.options;
      return createApiServer(
        { ...options, store: { logFile: join(directory, "store.log") } },
        { log: createLogger("test", { level: "error" }) },
      );
    };
    const masters = { name: "admin", groups: ["system:masters"] };
    const patch = { "content-type": "application/merge-patch+json" };
    let server = start();
    let api = server.localTransport(masters);
    await ask(api, "PATCH", `${rbacPath}/clusterroles/system:discovery`, { rules: [] }, patch);
    const kept = { metadata: { annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" } }, rules: [] };
    await ask(api, "PATCH", `${rbacPath}/clusterroles/system:basic-user`, kept, patch);
    await ask(api, "PATCH", `${rbacPath}/clusterrolebindings/system:discovery`, { subjects: [] }, patch);
    await server.stop();
    server = start();
    api = server.localTransport(masters);
    const read = async (path: string) => (await ask(api, "GET", `${rbacPath}/${path}`)).body;
    expect((await read("clusterroles/system:discovery")).rules).toEqual([
      {
        nonResourceURLs: expect.arrayContaining(["/api", "/apis/*", "/openapi/*"]),
        verbs: ["get"],
      },
    ]);
    expect((await read("clusterroles/system:basic-user")).rules ?? []).toEqual([]);
    expect((await read("clusterrolebindings/system:discovery")).subjects).toEqual([
      { apiGroup, kind: "Group", name: "system:authenticated" },
    ]);
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  it("are gathered as upstream's: edit holds view, admin holds both", async () => {
    const may = async (verb: string, resource: string, role: string, group = "") => {
      await bind(`${role}-${verb}-${resource}`, role, `${role}-${verb}-${resource}`, "dev");
      const spec = {
        user: `${role}-${verb}-${resource}`,
        resourceAttributes: { namespace: "dev", verb, resource, group },
      };
      const { body } = await ask(admin, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", { spec });
      return (body.status as { allowed: boolean }).allowed;
    };
    expect(await may("list", "pods", "admin")).toBe(true);
    expect(await may("create", "pods", "edit")).toBe(true);
    expect(await may("get", "secrets", "view")).toBe(false);
    expect(await may("create", "roles", "edit", apiGroup)).toBe(false);
    expect(await may("create", "roles", "admin", apiGroup)).toBe(true);
    expect(await may("list", "endpoints", "view")).toBe(true);
    expect(await may("create", "endpoints", "edit")).toBe(false);
  });
});
