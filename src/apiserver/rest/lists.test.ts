import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, watch } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
const path = "/api/v1/namespaces/default/configmaps";

beforeAll(async () => {
  local = await startLocalServer({ store: { historyLimit: 30 } });
  for (let i = 0; i < 5; i++) await create(`m${i}`);
});
afterAll(() => local.server.stop());

const create = (name: string, labels: Record<string, string> = {}) =>
  ask(local.api, "POST", path, { metadata: { name, labels } });
const get = (query: string, headers: Record<string, string> = {}) =>
  ask(local.api, "GET", `${path}?${query}`, undefined, headers);
const refusal = async (query: string) => {
  const { status, body } = await get(query);
  return [status, body.reason, body.message];
};
const invalid = (why: string) => [422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: ${why}`];
const token = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("options of lists (apimachinery's ValidateListOptions)", () => {
  it.each([
    [
      "resourceVersionMatch=Exact",
      "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
    ],
    [
      "resourceVersionMatch=Exact&resourceVersion=0",
      'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [
      "resourceVersionMatch=x&resourceVersion=1",
      'resourceVersionMatch: Unsupported value: "x": supported values: "Exact", "NotOlderThan", ""',
    ],
    [
      "resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x",
      "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
    ],
    ["sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"],
    [
      "watch=1&sendInitialEvents=true",
      "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    ],
    [
      "watch=1&resourceVersionMatch=NotOlderThan",
      "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    ],
    [
      "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
      '[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
    ],
  ])("%s", async (query, why) => expect(await refusal(query)).toEqual(invalid(why)));

  it.each([
    ["limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'],
    [
      "timeoutSeconds=99999999999999999999&watch=1",
      'strconv.ParseInt: parsing "99999999999999999999": value out of range',
    ],
    ["resourceVersion=x", 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'],
    ["continue=%21", "invalid continue token: continue key is not valid"],
    [
      `continue=${token({ v: "v9" })}`,
      "invalid continue token: continue key is not valid: server does not recognize this encoded version v9",
    ],
    [
      `continue=${token({ v: "meta.k8s.io/v1", rv: 0, start: "a" })}`,
      "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    ],
    [
      `continue=${token({ v: "meta.k8s.io/v1", rv: 5, start: "" })}`,
      "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
    ],
    [
      `continue=${token({ v: "meta.k8s.io/v1", rv: 5, start: "../x" })}`,
      "invalid continue token: continue key is not valid: ../x",
    ],
    [
      `continue=${token({ v: "meta.k8s.io/v1", rv: 5, start: "a" })}&resourceVersion=5`,
      "specifying resource version is not allowed when using continue",
    ],
    [
      "labelSelector=a%3D-",
      expect.stringMatching(/^unable to parse requirement: values\[0\]\[a\]: Invalid value: "-": /),
    ],
    ["fieldSelector=a", "invalid selector: 'a'; can't understand 'a'"],
  ])("%s", async (query, why) => expect(await refusal(query)).toEqual([400, "BadRequest", why]));
});

describe("revisions of lists", () => {
  it("counts what is left only where nothing is selected", async () => {
    const plain = (await get("limit=2")).body.metadata as { remainingItemCount?: number; continue?: string };
    expect(plain.remainingItemCount).toBeGreaterThanOrEqual(3);
    const chosen = (await get("limit=2&labelSelector=%21x")).body.metadata as typeof plain;
    expect([chosen.remainingItemCount, typeof chosen.continue]).toEqual([undefined, "string"]);
    expect((await get("limit=100")).body.metadata).not.toHaveProperty("continue");
  });

  it("shows an exact one, for a limited list too, and else the newest", async () => {
    const before = (await get("")).body.metadata.resourceVersion;
    await create("later");
    const names = async (query: string) => (await get(query)).body.items?.map((o) => o.metadata.name);
    expect(await names(`resourceVersion=${before}&resourceVersionMatch=Exact`)).not.toContain("later");
    expect(await names(`resourceVersion=${before}&limit=500`)).not.toContain("later");
    for (const query of [
      `resourceVersion=${before}`,
      `resourceVersion=${before}&resourceVersionMatch=NotOlderThan&limit=500`,
      "resourceVersion=0",
      "resourceVersion=0&limit=500",
      "",
    ])
      expect([query, await names(query)]).toEqual([query, expect.arrayContaining(["later"])]);
  });

  it("tells that one is still to come, and when to ask again", async () => {
    const { status, headers, body } = await get("resourceVersion=1000000");
    expect([status, headers["retry-after"], body.reason]).toEqual([504, "1", "Timeout"]);
    expect(body.message).toMatch(/^Timeout: Too large resource version: 1000000, current: \d+$/);
    expect(body.details).toEqual({
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    });
    expect((await get("resourceVersion=1000000&resourceVersionMatch=Exact")).status).toBe(504);
  });

  it("tells that an exact one is forgotten", async () => {
    for (let i = 0; i < 40; i++)
      await ask(local.api, "PUT", `${path}/m0`, { metadata: { name: "m0" }, data: { i: String(i) } });
    expect(await refusal("resourceVersion=3&resourceVersionMatch=Exact")).toEqual([
      410,
      "Expired",
      "The resourceVersion for the provided list is too old.",
    ]);
  });
});

it("a continue token of a revision that is not yet is expired, and says where the list can go on", async () => {
  // etcd: a revision in the future cannot be read; apiserver answers 410 to what clients cannot go on with.
  const rv = Number(local.server.revision) + 100;
  const { status, body } = await get(`limit=1&continue=${token({ v: "meta.k8s.io/v1", rv, start: "a\0" })}`);
  expect([status, body.reason]).toEqual([410, "Expired"]);
  const { continue: rest } = body.metadata as unknown as { continue: string };
  expect((await get(`limit=1&continue=${rest}`)).status).toBe(200);
});

describe("watches", () => {
  const change = (name: string, labels: Record<string, string | null>) =>
    ask(
      local.api,
      "PATCH",
      `${path}/${name}`,
      { metadata: { labels } },
      { "content-type": "application/merge-patch+json" },
    );

  it("of one name, by the old paths too", async () => {
    await create("single", { a: "1" });
    for (const where of [
      `${path}?watch=true&fieldSelector=metadata.name%3Dsingle`,
      `/api/v1/watch/namespaces/default/configmaps/single`,
    ]) {
      const watcher = await watch(local.api, where);
      expect(await watcher.next()).toMatchObject({ type: "ADDED", object: { metadata: { name: "single" } } });
      await create(`other-${where.length}`);
      await change("single", { b: String(where.length) });
      expect(await watcher.next()).toMatchObject({ type: "MODIFIED", object: { metadata: { name: "single" } } });
      await watcher.stop();
    }
  });

  it("see objects enter and leave a selection", async () => {
    const watcher = await watch(
      local.api,
      `${path}?watch=1&labelSelector=tier%3Dx&resourceVersion=${local.server.revision}`,
    );
    await create("enters", { tier: "y" });
    await change("enters", { tier: "x" });
    expect(await watcher.next()).toMatchObject({ type: "ADDED", object: { metadata: { labels: { tier: "x" } } } });
    await change("enters", { more: "1" });
    expect(await watcher.next()).toMatchObject({ type: "MODIFIED" });
    await change("enters", { tier: null });
    expect(await watcher.next()).toMatchObject({ type: "DELETED", object: { metadata: { name: "enters" } } });
    await watcher.stop();
  });

  it("of metadata alone", async () => {
    const accept = { accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" };
    const watcher = await watch(local.api, `${path}?watch=1&fieldSelector=metadata.name%3Dm1`, accept);
    const { object } = await watcher.next();
    expect([object.kind, object.apiVersion, object.metadata.name, "data" in object]).toEqual([
      "PartialObjectMetadata",
      "meta.k8s.io/v1",
      "m1",
      false,
    ]);
    await watcher.stop();
  });

  it("begin with nothing when told so", async () => {
    const query = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=";
    const watcher = await watch(local.api, `${path}?${query}`);
    const first = watcher.next();
    await create("first-seen");
    expect(await first).toMatchObject({ type: "ADDED", object: { metadata: { name: "first-seen" } } });
    await watcher.stop();
  });
});
