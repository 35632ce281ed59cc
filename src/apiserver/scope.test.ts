import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http2Transport, type Transport } from "#api/index.ts";
import { kinds } from "./kinds/registry.ts";
import { reviews } from "./kinds/reviews.ts";
import { ask } from "./testing/client.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

const rbac = "/apis/rbac.authorization.k8s.io/v1";
const apiGroup = "rbac.authorization.k8s.io";
const merge = { "content-type": "application/merge-patch+json" };

let test: TestServer;
let admin: Transport;
/** May do anything in the namespace foo and nothing elsewhere. */
let bob: Transport;
let backend: Server;
let asked: string[] = [];

beforeAll(async () => {
  test = await startTestServer({ proxyable: () => true });
  const server = `https://127.0.0.1:${test.server.address?.port}`;
  const transport = async (name: string, organizations: string[]) =>
    http2Transport({ server, ca: test.authority.cert, ...(await test.authority.issue(name, { organizations })) });
  admin = await transport("admin", ["system:masters"]);
  bob = await transport("bob", []);
  backend = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end("secret");
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  for (const name of ["foo", "bar"]) await ask(admin, "POST", "/api/v1/namespaces", { metadata: { name } });
  await ask(admin, "POST", `${rbac}/namespaces/foo/roles`, {
    metadata: { name: "all" },
    rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }],
  });
  await ask(admin, "POST", `${rbac}/namespaces/foo/rolebindings`, {
    metadata: { name: "bob" },
    roleRef: { apiGroup, kind: "Role", name: "all" },
    subjects: [{ apiGroup, kind: "User", name: "bob" }],
  });
  await ask(admin, "POST", "/api/v1/nodes", {
    metadata: { name: "n1" },
    status: { addresses: [{ type: "InternalIP", address: "127.0.0.1" }] },
  });
});
afterAll(async () => {
  await Promise.all([bob.close(), admin.close()]);
  backend.close();
  await test.stop();
});

const base = ({ group, version }: { group: string; version: string }) =>
  `${group ? `/apis/${group}` : "/api"}/${version}`;
const status = async (who: Transport, method: string, path: string) =>
  (await ask(who, method, path, method === "GET" || method === "DELETE" ? undefined : {})).status;

describe("what is allowed in a namespace stays in it", () => {
  it("no kind of the whole cluster is reached through a namespace", async () => {
    const reached: string[] = [];
    for (const kind of kinds.filter((k) => !k.namespaced))
      for (const rest of ["", "/foo", "/bar", "/bar/status", "/bar/finalize", "/bar/approval"])
        for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
          const path = `${base(kind)}/namespaces/foo/${kind.plural}${rest}`;
          const got = await status(bob, method, path);
          if (got !== 404) reached.push(`${method} ${path}: ${got}`);
        }
    expect(reached).toEqual([]);
    expect(await status(bob, "GET", "/api/v1/watch/namespaces/foo/namespaces/bar")).toBe(404);
    expect(await status(admin, "GET", "/api/v1/namespaces/bar")).toBe(200);
  });

  it("a namespace is its own", async () => {
    expect(await status(bob, "GET", "/api/v1/namespaces/foo")).toBe(200);
    expect(await status(bob, "GET", "/api/v1/namespaces/foo/status")).toBe(200);
    expect(await status(bob, "GET", "/api/v1/namespaces/bar")).toBe(403);
    expect(await status(bob, "GET", "/api/v1/namespaces")).toBe(403);
  });

  it("reviews stand at their scope", async () => {
    for (const review of reviews) {
      const inside = `${base(review)}/namespaces/foo/${review.plural}`;
      const wrong = review.namespaced ? `${base(review)}/${review.plural}` : inside;
      expect([wrong, await status(admin, "POST", wrong)]).toEqual([wrong, 404]);
      if (!review.namespaced) expect(await status(bob, "POST", inside)).toBe(404);
    }
  });

  it("proxies stand at their scope", async () => {
    asked = [];
    const { port } = backend.address() as AddressInfo;
    expect((await ask(admin, "GET", `/api/v1/nodes/n1:${port}/proxy/here`)).body.message).toBe("secret");
    expect(asked).toEqual(["/here"]);
    for (const path of [
      `/api/v1/namespaces/foo/nodes/n1:${port}/proxy/secret`,
      `/api/v1/namespaces//nodes/n1:${port}/proxy/secret`,
      "/api/v1/pods/p/proxy/secret",
      "/api/v1/pods/p/log",
      "/api/v1/services/s/proxy/secret",
    ])
      expect([path, await status(admin, "GET", path)]).toEqual([path, 404]);
    expect(await status(bob, "GET", `/api/v1/namespaces/foo/nodes/n1:${port}/proxy/secret`)).toBe(404);
    expect(asked).toEqual(["/here"]);
  });

  it("namespaces are not deleted by the collection, as discovery says", async () => {
    const { body } = await ask(admin, "DELETE", "/api/v1/namespaces");
    expect([body.code, body.message]).toEqual([405, "the server does not allow this method on the requested resource"]);
    expect(await status(admin, "GET", "/api/v1/namespaces/bar")).toBe(200);
  });

  it("a role whose lists multiply to billions is refused, and the server goes on", async () => {
    const many = Array.from({ length: 600 }, (_, i) => `x${i}`);
    await ask(admin, "POST", `${rbac}/namespaces/bar/roles`, {
      metadata: { name: "writer" },
      rules: [{ apiGroups: [apiGroup], resources: ["roles"], verbs: ["create"] }],
    });
    await ask(admin, "POST", `${rbac}/namespaces/bar/rolebindings`, {
      metadata: { name: "writer" },
      roleRef: { apiGroup, kind: "Role", name: "writer" },
      subjects: [{ apiGroup, kind: "User", name: "bob" }],
    });
    const rules = [{ apiGroups: many, resources: many, verbs: many }];
    const { body } = await ask(bob, "POST", `${rbac}/namespaces/bar/roles`, { metadata: { name: "wide" }, rules });
    expect([body.code, body.message]).toEqual([
      403,
      expect.stringMatching(/^roles\.rbac\S+ "wide" is forbidden: the rules have 216000000 combinations of apiGroups/),
    ]);
    expect((await ask(admin, "POST", `${rbac}/namespaces/bar/roles`, { metadata: { name: "w" }, rules })).status).toBe(
      201,
    );
  });

  it("a namespace is finalized by who knows its state", async () => {
    const { body: old } = await ask(admin, "GET", "/api/v1/namespaces/bar");
    const put = async (metadata: object) =>
      (await ask(admin, "PUT", "/api/v1/namespaces/bar/finalize", { metadata, spec: {} })).body;
    const { name, uid, resourceVersion } = old.metadata;
    expect((await put({ name, resourceVersion: "1" })).reason).toBe("Conflict");
    expect((await put({ name, uid: "other" })).reason).toBe("Conflict");
    expect((await put({ name: "foo" })).reason).toBe("BadRequest");
    const done = await put({ name, uid, resourceVersion });
    expect([done.code, (done.spec as object | undefined) ?? {}]).toEqual([undefined, {}]);
  });
});

describe("what is allowed in a namespace stays in it (property: paths)", { timeout: 60_000 }, () => {
  /** All that is stored outside foo, and foo itself is not looked at: bob may do there what he likes. */
  const outside = async () => {
    const seen: string[] = [];
    for (const kind of kinds.filter((k) => k.verbs.includes("create"))) {
      const { body } = await ask(admin, "GET", `${base(kind)}/${kind.plural}`);
      for (const { metadata } of body.items ?? [])
        if ((kind.namespaced ? metadata.namespace : metadata.name) !== "foo")
          seen.push(`${kind.plural} ${metadata.namespace ?? ""}/${metadata.name} ${metadata.resourceVersion}`);
    }
    return seen;
  };

  it("nothing outside is shown or changed, whatever the path", async () => {
    const labels = { mark: "outside-of-foo" };
    for (const space of ["bar", "kube-system"])
      await ask(admin, "POST", `/api/v1/namespaces/${space}/secrets`, { metadata: { name: "hidden", labels } });
    await ask(admin, "PATCH", "/api/v1/nodes/n1", { metadata: { labels } }, merge);
    await ask(admin, "PATCH", "/api/v1/namespaces/bar", { metadata: { labels } }, merge);
    const before = await outside();
    asked = [];
    const { port } = backend.address() as AddressInfo;
    const plurals = [...new Set(kinds.map((kind) => kind.plural))];
    const word = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("namespaces", "foo", "bar", "kube-system", "watch", "proxy", "status") },
      { weight: 2, arbitrary: fc.constantFrom("nodes", "secrets", "pods", "hidden", "n1", `n1:${port}`, "finalize") },
      { weight: 1, arbitrary: fc.constantFrom(...plurals, ...reviews.map((review) => review.plural)) },
      { weight: 1, arbitrary: fc.constantFrom(`nodes/n1:${port}/proxy`, "secrets/hidden", "namespaces/bar") },
      {
        weight: 1,
        arbitrary: fc.constantFrom("", ".", "..", "%2e%2e", "foo%2fbar", "bar%2f", "foo%00", "log", "scale"),
      },
    );
    const groups = ["/api/v1", ...new Set(kinds.filter((k) => k.group).map(base))];
    const root = fc.oneof(fc.constant("/api/v1"), fc.constantFrom(...groups));
    const tail = fc.array(word, { minLength: 1, maxLength: 6 });
    const path = fc
      .record({ root, inside: fc.boolean(), tail })
      .map((p) => [p.root, ...(p.inside ? ["namespaces", "foo"] : []), ...p.tail].join("/"));
    const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE");
    await fc.assert(
      fc.asyncProperty(method, path, async (verb, where) => {
        // A watch goes on for ever, and an empty collection is all that a timeout of a second ends.
        const query = where.includes("/watch") ? "?timeoutSeconds=1&allowWatchBookmarks=false" : "";
        const body = verb === "GET" ? undefined : { metadata: { labels: { changed: "by-bob" } } };
        const answer = await ask(bob, verb, where + query, body, verb === "PATCH" ? merge : {});
        expect(JSON.stringify(answer.body)).not.toContain("outside-of-foo");
      }),
      { seed: 22, numRuns: 1500 },
    );
    expect(await outside()).toEqual(before);
    expect(asked).toEqual([]);
    // The paths were asked by somebody who may do something.
    expect(await status(bob, "GET", "/api/v1/namespaces/foo/secrets")).toBe(200);
  });
});
