import { type ClientHttp2Session, connect } from "node:http2";
import { request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { http2Transport } from "#api/index.ts";
import type { Pair } from "./testing/certificates.ts";
import { TestAuthority } from "./testing/certificates.ts";
import { ask, watch } from "./testing/client.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

let test: TestServer;
let admin: Transport;
let url: string;

beforeAll(async () => {
  test = await startTestServer({ store: { historyLimit: 50 } });
  url = `https://127.0.0.1:${test.server.address?.port}`;
  admin = as(await test.authority.issue("admin", { organizations: ["system:masters"] }));
  await ask(admin, "POST", "/api/v1/namespaces", { metadata: { name: "test" } });
  await ask(admin, "POST", "/api/v1/namespaces/test/serviceaccounts", { metadata: { name: "bob" } });
});
afterAll(async () => {
  await admin.close();
  await test.stop();
});

function as(pair?: Pair, token?: string): Transport {
  return http2Transport({
    server: url,
    ca: test.authority.cert,
    ...(pair ?? {}),
    ...(token ? { token: () => token } : {}),
  });
}

describe("who may ask", () => {
  it("lets the anonymous see health and version, and nothing more", async () => {
    const nobody = as();
    for (const path of ["/api/v1/pods", "/apis", "/openapi/v3", "/metrics", "/livez/ping"]) {
      const refused = await ask(nobody, "GET", path);
      expect([refused.status, refused.body.reason]).toEqual([403, "Forbidden"]);
    }
    for (const path of ["/healthz", "/livez", "/readyz", "/version", "/readyz?verbose"]) {
      expect((await ask(nobody, "GET", path)).status).toBe(200);
    }
    await nobody.close();
  });

  it("refuses a certificate of another authority", async () => {
    const other = await TestAuthority.create("other-ca");
    const stranger = as(await other.issue("admin", { organizations: ["system:masters"] }));
    expect((await ask(stranger, "GET", "/api/v1/pods")).status).toBe(401);
    await stranger.close();
  });

  it("gives a certificate its name and groups, and nothing more", async () => {
    const user = as(await test.authority.issue("jane", { organizations: ["team", "people"] }));
    const self = await ask(user, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
    expect(self.body.status).toEqual({
      userInfo: {
        username: "jane",
        groups: ["team", "people", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)] },
      },
    });
    const refused = await ask(user, "GET", "/api/v1/namespaces/test/pods");
    expect(refused.body.message).toBe(
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "test"',
    );
    await user.close();
  });

  it("issues ServiceAccount tokens and takes them as long as they hold", async () => {
    const made = await ask(admin, "POST", "/api/v1/namespaces/test/serviceaccounts/bob/token", {});
    const { token } = made.body.status as { token: string };
    const bob = as(undefined, token);
    const self = await ask(bob, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
    expect(self.body.status).toMatchObject({ userInfo: { username: "system:serviceaccount:test:bob" } });
    expect((await ask(bob, "GET", "/api/v1/namespaces/test/pods")).status).toBe(403);
    await ask(admin, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/test/rolebindings", {
      metadata: { name: "view" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "ServiceAccount", name: "bob", namespace: "test" }],
    });
    expect((await ask(bob, "GET", "/api/v1/namespaces/test/pods")).status).toBe(200);
    expect((await ask(bob, "GET", "/api/v1/pods")).status).toBe(403);
    expect((await ask(bob, "GET", "/api/v1/namespaces/test/secrets")).status).toBe(403);
    await bob.close();
  });

  it("refuses tokens that are forged, for others, or of a deleted account", async () => {
    const status = async (token: string) => {
      const somebody = as(undefined, token);
      const answer = await ask(somebody, "GET", "/api");
      await somebody.close();
      return answer.status;
    };
    const path = "/api/v1/namespaces/test/serviceaccounts";
    await ask(admin, "POST", path, { metadata: { name: "gone" } });
    const { token } = (await ask(admin, "POST", `${path}/gone/token`, {})).body.status as { token: string };
    const [head, body, signature = ""] = token.split(".");
    const claims = JSON.parse(Buffer.from(body as string, "base64url").toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: "system:serviceaccount:test:bob" })).toString(
      "base64url",
    );
    expect(await status(`${head}.${forged}.${signature}`)).toBe(401);
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    expect(await status(`${none}.${body}.`)).toBe(401);
    expect(await status("nonsense")).toBe(401);
    const other = await ask(admin, "POST", `${path}/gone/token`, { spec: { audiences: ["vault"] } });
    expect(await status((other.body.status as { token: string }).token)).toBe(401);
    await ask(admin, "DELETE", `${path}/gone`);
    expect(await status(token)).toBe(401);
  });

  it("lets nodes do their work and not more", async () => {
    const node = as(await test.authority.issue("system:node:node01", { organizations: ["system:nodes"] }));
    expect((await ask(node, "POST", "/api/v1/nodes", { metadata: { name: "node01" } })).status).toBe(201);
    expect((await ask(node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName=node01")).status).toBe(200);
    expect((await ask(node, "DELETE", "/api/v1/namespaces/test")).status).toBe(403);
    await node.close();
  });

  it("impersonates for those who may", async () => {
    const headers = { "impersonate-user": "eve", "impersonate-group": "team" };
    const self = await ask(admin, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, headers);
    expect(self.body.status).toEqual({ userInfo: { username: "eve", groups: ["team", "system:authenticated"] } });
    const jane = as(await test.authority.issue("jane"));
    expect((await ask(jane, "GET", "/api", undefined, headers)).body.message).toContain(
      'cannot impersonate resource "users"',
    );
    await jane.close();
  });
});

describe("lists and watches", () => {
  const path = "/api/v1/namespaces/test/configmaps";
  const create = (name: string, labels: Record<string, string> = {}) =>
    ask(admin, "POST", path, { metadata: { name, labels }, data: { a: "b" } });

  it("pages over one snapshot while objects come and go", async () => {
    for (let i = 0; i < 7; i++) await create(`page-${i}`);
    const first = await ask(admin, "GET", `${path}?limit=3`);
    const meta = first.body.metadata as unknown as {
      continue: string;
      remainingItemCount: number;
      resourceVersion: string;
    };
    expect(first.body.items?.map((o) => o.metadata.name)).toEqual(["page-0", "page-1", "page-2"]);
    expect(meta.remainingItemCount).toBe(4);
    await ask(admin, "DELETE", `${path}/page-4`);
    await create("page-3-late");
    const rest = await ask(admin, "GET", `${path}?limit=100&continue=${meta.continue}`);
    expect(rest.body.items?.map((o) => o.metadata.name)).toEqual(["page-3", "page-4", "page-5", "page-6"]);
    expect(rest.body.metadata.resourceVersion).toBe(meta.resourceVersion);
    const bad = await ask(admin, "GET", `${path}?limit=1&continue=rubbish`);
    expect([bad.status, bad.body.reason]).toEqual([400, "BadRequest"]);
  });

  it("answers 410 for what it has forgotten, and says so to the client", async () => {
    const { body } = await ask(admin, "GET", `${path}?limit=1`);
    const { continue: token, resourceVersion } = body.metadata as unknown as {
      continue: string;
      resourceVersion: string;
    };
    for (let i = 0; i < 60; i++)
      await ask(
        admin,
        "PATCH",
        `${path}/page-0`,
        { data: { i: String(i) } },
        { "content-type": "application/merge-patch+json" },
      );
    const watcher = await watch(admin, `${path}?watch=1&resourceVersion=${resourceVersion}`);
    const gone = await watcher.next();
    expect(gone).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } });
    expect(gone.object.message).toMatch(/^too old resource version: \d+ \(\d+\)$/);
    expect(await watcher.next()).toBeNull();
    const expired = await ask(admin, "GET", `${path}?limit=1&continue=${token}`);
    expect([expired.status, expired.body.reason]).toEqual([410, "Expired"]);
    expect(expired.body.message).toMatch(/^The provided continue parameter is too old to display a consistent list/);
    // The token of the refusal goes on with what there is now.
    const rest = await ask(
      admin,
      "GET",
      `${path}?continue=${(expired.body.metadata as { continue?: string }).continue}`,
    );
    expect(rest.body.items?.map((o) => o.metadata.name)).not.toContain("page-0");
    expect(rest.body.items?.length).toBeGreaterThan(0);
  });

  it("streams what is there and then a bookmark (WatchList)", async () => {
    const query =
      "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=";
    const watcher = await watch(admin, `${path}?${query}&labelSelector=kind=initial`);
    const end = await watcher.next();
    expect(end).toMatchObject({
      type: "BOOKMARK",
      object: { metadata: { annotations: { "k8s.io/initial-events-end": "true" } } },
    });
    await create("initial", { kind: "initial" });
    expect(await watcher.next()).toMatchObject({ type: "ADDED", object: { metadata: { name: "initial" } } });
    // An object that ceases to match is deleted for this watch.
    await ask(
      admin,
      "PATCH",
      `${path}/initial`,
      { metadata: { labels: { kind: null } } },
      { "content-type": "application/merge-patch+json" },
    );
    expect(await watcher.next()).toMatchObject({ type: "DELETED", object: { metadata: { name: "initial" } } });
    await watcher.stop();
  });

  it("watches Tables, columns in the first event only", async () => {
    const accept = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
    const watcher = await watch(admin, `${path}?watch=1&fieldSelector=metadata.name=table`, accept);
    await create("table");
    const first = await watcher.next();
    expect(first.object.columnDefinitions).toHaveLength(3);
    await ask(admin, "DELETE", `${path}/table`);
    const second = await watcher.next();
    expect([second.type, second.object.columnDefinitions, second.object.rows?.[0]?.cells[0]]).toEqual([
      "DELETED",
      null,
      "table",
    ]);
    await watcher.stop();
  });

  it("ends a watch at timeoutSeconds", async () => {
    const watcher = await watch(admin, `${path}?watch=1&timeoutSeconds=1&resourceVersion=${test.server.revision}`);
    expect(await watcher.next()).toBeNull();
  });

  it("selects by labels and fields, and refuses what it cannot select by", async () => {
    await create("sel-a", { tier: "a" });
    await create("sel-b", { tier: "b" });
    const names = async (query: string) =>
      (await ask(admin, "GET", `${path}?${query}`)).body.items?.map((o) => o.metadata.name);
    expect(await names(`labelSelector=${encodeURIComponent("tier in (a,c)")}`)).toEqual(["sel-a"]);
    expect(await names(`labelSelector=${encodeURIComponent("tier,tier!=a")}`)).toEqual(["sel-b"]);
    expect(await names("fieldSelector=metadata.name%3Dsel-b")).toEqual(["sel-b"]);
    const bad = await ask(admin, "GET", `${path}?fieldSelector=data.a%3Db`);
    expect([bad.status, bad.body.message]).toEqual([
      400,
      '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ]);
    const pods = await ask(admin, "GET", "/api/v1/pods?fieldSelector=spec.image%3Db");
    expect([pods.status, pods.body.message]).toEqual([400, "field label not supported: spec.image"]);
    expect((await ask(admin, "GET", `${path}?labelSelector=a%3D%3D%3Db`)).status).toBe(400);
  });

  it("deletes a collection by selector", async () => {
    await ask(admin, "DELETE", `${path}?labelSelector=tier`);
    expect((await ask(admin, "GET", `${path}?labelSelector=tier`)).body.items).toEqual([]);
    expect((await ask(admin, "GET", path)).body.items?.length).toBeGreaterThan(0);
  });
});

describe("deletion", () => {
  const path = "/api/v1/namespaces/test/pods";
  const pod = {
    metadata: { name: "p" },
    spec: { containers: [{ name: "c", image: "x" }], serviceAccountName: "bob", automountServiceAccountToken: false },
  };

  it("waits for the node of a bound pod, and for finalizers", async () => {
    await ask(admin, "POST", path, pod);
    const bound = await ask(admin, "POST", `${path}/p/binding`, { target: { kind: "Node", name: "node01" } });
    expect(bound.status).toBe(201);
    expect((await ask(admin, "POST", `${path}/p/binding`, { target: { name: "node02" } })).status).toBe(409);
    const deleting = await ask(admin, "DELETE", `${path}/p`, { gracePeriodSeconds: 5 });
    expect(deleting.body.metadata).toMatchObject({
      deletionGracePeriodSeconds: 5,
      deletionTimestamp: expect.any(String),
    });
    expect((await ask(admin, "GET", `${path}/p`)).status).toBe(200);
    await ask(
      admin,
      "PATCH",
      `${path}/p`,
      { metadata: { finalizers: ["a.io/b"] } },
      { "content-type": "application/merge-patch+json" },
    );
    expect((await ask(admin, "GET", `${path}/p`)).body.metadata.finalizers).toBeUndefined();
    await ask(admin, "DELETE", `${path}/p?gracePeriodSeconds=0`);
    expect((await ask(admin, "GET", `${path}/p`)).status).toBe(404);
  });

  it("keeps an object with finalizers until the last is gone, and notes the propagation policy", async () => {
    const maps = "/api/v1/namespaces/test/configmaps";
    await ask(admin, "POST", maps, { metadata: { name: "f", finalizers: ["a.io/b"] } });
    const first = await ask(admin, "DELETE", `${maps}/f`, { propagationPolicy: "Foreground" });
    expect(first.body.metadata.finalizers).toEqual(["a.io/b", "foregroundDeletion"]);
    await ask(
      admin,
      "PATCH",
      `${maps}/f`,
      [{ op: "replace", path: "/metadata/finalizers", value: ["foregroundDeletion"] }],
      { "content-type": "application/json-patch+json" },
    );
    expect((await ask(admin, "GET", `${maps}/f`)).status).toBe(200);
    await ask(admin, "PATCH", `${maps}/f`, [{ op: "remove", path: "/metadata/finalizers" }], {
      "content-type": "application/json-patch+json",
    });
    expect((await ask(admin, "GET", `${maps}/f`)).status).toBe(404);
  });

  it("refuses new content in a namespace that is going, which ends with its finalizer", async () => {
    await ask(admin, "POST", "/api/v1/namespaces", { metadata: { name: "going" } });
    await ask(admin, "DELETE", "/api/v1/namespaces/going");
    const refused = await ask(admin, "POST", "/api/v1/namespaces/going/configmaps", { metadata: { name: "x" } });
    expect(refused.body.message).toBe(
      'configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated',
    );
    const { body } = await ask(admin, "GET", "/api/v1/namespaces/going");
    await ask(admin, "PUT", "/api/v1/namespaces/going/finalize", { ...body, spec: {} });
    expect((await ask(admin, "GET", "/api/v1/namespaces/going")).status).toBe(404);
    const missing = await ask(admin, "POST", "/api/v1/namespaces/going/configmaps", { metadata: { name: "x" } });
    expect([missing.status, missing.body.message]).toEqual([404, 'namespaces "going" not found']);
  });

  it("honours preconditions", async () => {
    const maps = "/api/v1/namespaces/test/configmaps";
    await ask(admin, "POST", maps, { metadata: { name: "pre" } });
    const refused = await ask(admin, "DELETE", `${maps}/pre`, { preconditions: { uid: "other" } });
    expect([refused.status, refused.body.reason]).toEqual([409, "Conflict"]);
  });
});

describe("HTTP", () => {
  let session: ClientHttp2Session;
  beforeAll(async () => {
    const pair = await test.authority.issue("admin", { organizations: ["system:masters"] });
    session = connect(url, { ca: test.authority.cert, ...pair });
  });
  afterAll(() => session.close());

  it("speaks HTTP/1.1 on the same port", async () => {
    const pair = await test.authority.issue("admin", { organizations: ["system:masters"] });
    const text = await new Promise<string>((resolve, reject) => {
      const request = httpsRequest(`${url}/api/v1/namespaces/test`, { ca: test.authority.cert, ...pair }, (answer) => {
        let body = "";
        answer.on("data", (chunk) => (body += chunk));
        answer.on("end", () => resolve(`${answer.httpVersion} ${answer.statusCode} ${body}`));
      });
      request.on("error", reject);
      request.end();
    });
    expect(text).toMatch(/^1\.1 200 .*"kind":"Namespace"/);
  });

  it("answers 304 to a known ETag of discovery", async () => {
    const accept = { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" };
    const first = await ask(admin, "GET", "/apis", undefined, accept);
    expect(first.headers["content-type"]).toBe("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    const again = await ask(admin, "GET", "/apis", undefined, {
      ...accept,
      "if-none-match": first.headers.etag as string,
    });
    expect(again.status).toBe(304);
    expect((await ask(admin, "GET", "/api/v1")).body).toMatchObject({ kind: "APIResourceList", groupVersion: "v1" });
  });

  it("refuses bodies that are too large, broken, or of another kind, and unknown paths", async () => {
    const maps = "/api/v1/namespaces/test/configmaps";
    const huge = await ask(admin, "POST", maps, `{"data":{"a":"${"x".repeat(3 * 1024 * 1024)}"}}`);
    expect([huge.status, huge.body.reason]).toEqual([413, "RequestEntityTooLarge"]);
    expect((await ask(admin, "POST", maps, "{")).body.reason).toBe("BadRequest");
    expect((await ask(admin, "POST", maps, { kind: "Secret", apiVersion: "v1", metadata: { name: "x" } })).status).toBe(
      400,
    );
    expect((await ask(admin, "POST", maps, "a", { "content-type": "text/plain" })).status).toBe(415);
    expect((await ask(admin, "PATCH", `${maps}/page-0`, "{}")).status).toBe(415);
    for (const path of [
      "/nothing",
      "/api/v2/pods",
      "/apis/apps/v1/nothing",
      `${maps}/page-0/status`,
      "/api/v1/namespaces/test/nodes",
    ]) {
      expect([path, (await ask(admin, "GET", path)).status]).toEqual([path, 404]);
    }
    expect((await ask(admin, "POST", `${maps}/page-0`, {})).status).toBe(405);
    expect((await ask(admin, "GET", "/api/v1/%zz")).status).toBe(400);
  });

  it("never lets a field named __proto__ through", async () => {
    const maps = "/api/v1/namespaces/test/configmaps";
    const made = await ask(
      admin,
      "POST",
      maps,
      '{"metadata":{"name":"proto"},"data":{"__proto__":"x","a":"b"},"__proto__":{"polluted":true}}',
    );
    expect(made.body.metadata.name).toBe("proto");
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
