import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
const maps = "/api/v1/namespaces/default/configmaps";

beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

const get = (path: string, headers: Record<string, string> = {}) => ask(local.api, "GET", path, undefined, headers);
const aggregated = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;

describe("discovery", () => {
  it("has the form that the client names first", async () => {
    const kind = async (accept: string) => {
      const { headers, body } = await get("/apis", { accept });
      return [body.kind, body.apiVersion, headers["content-type"]];
    };
    const [v2, beta] = [aggregated("v2"), aggregated("v2beta1")];
    expect(await kind(`${v2},${beta},application/json`)).toEqual([
      "APIGroupDiscoveryList",
      "apidiscovery.k8s.io/v2",
      v2,
    ]);
    expect(await kind(`${beta},application/json`)).toEqual([
      "APIGroupDiscoveryList",
      "apidiscovery.k8s.io/v2beta1",
      beta,
    ]);
    expect(await kind(`${aggregated("v9")},application/json`)).toEqual(["APIGroupList", "v1", "application/json"]);
    expect(await kind("application/json")).toEqual(["APIGroupList", "v1", "application/json"]);
  });

  it("answers 304 to the tag it gave, at every path and in every form", async () => {
    for (const path of ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1"]) {
      for (const accept of [aggregated("v2"), "application/json"]) {
        const { headers } = await get(path, { accept });
        expect(headers.vary).toBe("Accept");
        expect((await get(path, { accept, "if-none-match": headers.etag as string })).status).toBe(304);
        expect((await get(path, { accept, "if-none-match": '"other"' })).status).toBe(200);
      }
    }
  });

  it("of OpenAPI names documents by their hash; only these may be kept for ever", async () => {
    const { paths } = (await get("/openapi/v3")).body as unknown as {
      paths: Record<string, { serverRelativeURL: string }>;
    };
    const url = paths["apis/apps/v1"]?.serverRelativeURL as string;
    expect(url).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]+$/);
    const named = await get(url);
    expect([named.status, named.headers["cache-control"]]).toEqual([200, "public, immutable"]);
    expect((await get(url, { "if-none-match": named.headers.etag as string })).status).toBe(304);
    expect((await get("/openapi/v3/apis/apps/v1")).headers["cache-control"]).not.toContain("immutable");
    const old = await get("/openapi/v3/apis/apps/v1?hash=OLD");
    expect([old.status, old.headers.location]).toEqual([301, url]);
    const document = named.body as unknown as { components: { schemas: Record<string, { description?: string }> } };
    expect(document.components.schemas["io.k8s.api.apps.v1.DeploymentSpec"]?.description).toBe(
      "DeploymentSpec is the specification of the desired behavior of the Deployment.",
    );
  });
});

describe("HTTP", () => {
  it("refuses forms that it has not, before anything is written", async () => {
    const refused = await ask(local.api, "POST", maps, { metadata: { name: "unread" } }, { accept: "text/html" });
    expect([refused.status, refused.body.reason, refused.body.message]).toEqual([
      406,
      "NotAcceptable",
      "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ]);
    expect((await get(`${maps}/unread`)).status).toBe(404);
    for (const accept of [
      "application/vnd.kubernetes.protobuf",
      "text/html, */*;q=0.8",
      "application/json;as=Table;v=v1;g=meta.k8s.io",
    ])
      expect([accept, (await get(maps, { accept })).status]).toEqual([accept, 200]);
  });

  it("refuses media types of bodies with those that it takes", async () => {
    const posted = await ask(local.api, "POST", maps, "x", { "content-type": "text/plain" });
    expect([posted.status, posted.body.reason, posted.body.message]).toEqual([
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    ]);
    const patched = await ask(local.api, "PATCH", `${maps}/x`, "{}", { "content-type": "application/json" });
    expect([patched.status, patched.body.message]).toEqual([
      415,
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
    ]);
  });

  it("keeps objects below 1.5 MiB, with etcd's words", async () => {
    const refused = await ask(local.api, "POST", maps, {
      metadata: { name: "big", annotations: {} },
      data: { a: "x".repeat(900_000) },
      binaryData: { b: Buffer.alloc(600_000).toString("base64") },
    });
    // A ConfigMap has a limit of its own, which comes first.
    expect(refused.status).toBe(422);
    const events = await ask(local.api, "POST", "/apis/apps/v1/namespaces/default/controllerrevisions", {
      metadata: { name: "big" },
      revision: 1,
      data: { a: "x".repeat(1_600_000) },
    });
    expect([events.status, events.body.reason, events.body.message]).toEqual([
      500,
      undefined,
      "etcdserver: request is too large",
    ]);
  });

  it("gives generated names five characters of a small alphabet", async () => {
    const made = await ask(local.api, "POST", `${maps}?dryRun=All`, { metadata: { generateName: "g-" } });
    expect(made.body.metadata.name).toMatch(/^g-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    const long = await ask(local.api, "POST", `${maps}?dryRun=All`, { metadata: { generateName: "x".repeat(70) } });
    expect(long.body.metadata.name).toHaveLength(63);
  });

  it("stores nothing in a dry run, of any write", async () => {
    const { body } = await ask(local.api, "POST", maps, { metadata: { name: "dry" }, data: { a: "b" } });
    const before = local.server.revision;
    const dry = "dryRun=All";
    await ask(local.api, "POST", `${maps}?${dry}`, { metadata: { name: "other" } });
    await ask(local.api, "PUT", `${maps}/dry?${dry}`, { ...body, data: { a: "c" } });
    for (const type of ["merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"]) {
      const patch = { apiVersion: "v1", kind: "ConfigMap", data: { a: "d" } };
      const changed = await ask(
        local.api,
        "PATCH",
        `${maps}/dry?${dry}&fieldManager=f${type.startsWith("apply") ? "&force=true" : ""}`,
        patch,
        {
          "content-type": `application/${type}`,
        },
      );
      expect([type, changed.status, changed.body.data]).toEqual([type, 200, { a: "d" }]);
    }
    await ask(local.api, "DELETE", `${maps}/dry?${dry}`);
    await ask(local.api, "DELETE", `${maps}?${dry}`);
    await ask(local.api, "POST", "/api/v1/namespaces/default/services?dryRun=All", {
      metadata: { name: "s" },
      spec: { type: "NodePort", ports: [{ port: 80 }] },
    });
    expect(local.server.revision).toBe(before);
    expect((await get(`${maps}/dry`)).body.data).toEqual({ a: "b" });
  });
});
