import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../testing/client.ts";
import { type LocalServer, startLocalServer } from "../testing/local.ts";

let local: LocalServer;
const maps = "/api/v1/namespaces/default/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";

beforeAll(async () => {
  local = await startLocalServer();
  await ask(local.api, "POST", maps, { metadata: { name: "m" }, data: { a: "b" } });
  const labels = { app: "d" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } };
  await ask(local.api, "POST", deployments, {
    metadata: { name: "d" },
    spec: { selector: { matchLabels: labels }, template },
  });
});
afterAll(() => local.server.stop());

const post = (path: string, body: string, query = "") =>
  ask(local.api, "POST", `${path}${query || "?dryRun=All&fieldValidation=Strict"}`, body);
const unrecognized = "the object provided is unrecognized (must be of type ConfigMap): ";
const parse = `${unrecognized}couldn't get version/kind; json parse error: `;
const cannot = 'Deployment in version "v1" cannot be handled as a Deployment: ';

describe("bodies that do not decode: the words of Kubernetes' decoder (recorded from apimachinery v0.36.6)", () => {
  it.each([
    ["{", `${parse}unexpected end of JSON input ({)`],
    ["", `${parse}unexpected end of JSON input (<empty>)`],
    ['{"a"}', `${parse}invalid character '}' after object key ({"a"})`],
    ['{"a":}', `${parse}invalid character '}' looking for beginning of value ({"a":})`],
    ['{"a":1,}', `${parse}invalid character '}' looking for beginning of object key string ({"a":1,})`],
    ['{"a":tru}', `${parse}invalid character '}' in literal true (expecting 'e') ({"a":tru})`],
    ['{"a":"\\x"}', `${parse}invalid character 'x' in string escape code ({"a":"\\x"})`],
    ['{"a":01}', `${parse}invalid character '1' after object key:value pair ({"a":01})`],
    ['{"a":1}}', `${parse}invalid character '}' after top-level value ({"a":1}})`],
    ["{a:1}", `${parse}invalid character 'a' looking for beginning of object key string ({a:1})`],
    ["x", `${parse}invalid character 'x' looking for beginning of value (78)`],
  ])("%s", async (body, message) => {
    const refused = await post(maps, body);
    expect([refused.status, refused.body.reason, refused.body.message]).toEqual([400, "BadRequest", message]);
  });

  it.each([
    [
      '{"spec":{"replicas":"a"}}',
      "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      '{"spec":{"replicas":1.5}}',
      "cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    ['{"spec":[]}', "cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"],
    [
      '{"spec":{"template":{"spec":{"containers":{}}}}}',
      "cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
    ],
    [
      '{"spec":{"template":{"spec":{"containers":[{"name":1}]}}}}',
      "cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type string",
    ],
    [
      '{"metadata":{"labels":{"a":1}}}',
      "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      '{"metadata":{"labels":[]}}',
      "cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
    ],
    [
      '{"metadata":{"creationTimestamp":5}}',
      "cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
    ],
  ])("%s", async (body, why) => {
    expect((await post(deployments, body)).body.message).toBe(`${cannot}json: ${why}`);
  });

  it("names unknown and repeated fields, all at once when strict, one by one as warnings", async () => {
    const body =
      '{"metadata":{"name":"s"},"spec":{"foo":1,"paused":true,"paused":false,"bar":{"a":1,"a":2},"selector":{"matchLabels":{"app":"d"}},"template":{"metadata":{"labels":{"app":"d"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}}';
    expect((await post(deployments, body)).body.message).toBe(
      `${cannot}strict decoding error: unknown field "spec.foo", unknown field "spec.bar", duplicate field "spec.paused"`,
    );
    const warned = await post(deployments, body, "?dryRun=All");
    expect([warned.status, warned.headers.warning]).toEqual([
      201,
      '299 - "unknown field \\"spec.foo\\"", 299 - "unknown field \\"spec.bar\\"", 299 - "duplicate field \\"spec.paused\\""',
    ]);
    const ignored = await post(deployments, body, "?dryRun=All&fieldValidation=Ignore");
    expect([ignored.status, ignored.headers.warning]).toEqual([201, undefined]);
  });

  it("reads YAML, and tells keys that come twice", async () => {
    const yaml = { "content-type": "application/yaml" };
    const good = await ask(local.api, "POST", `${maps}?dryRun=All`, "metadata: {name: y}\ndata:\n  a: b\n", yaml);
    expect([good.status, good.body.metadata.name]).toEqual([201, "y"]);
    const twice = await ask(
      local.api,
      "POST",
      `${maps}?dryRun=All&fieldValidation=Strict`,
      "metadata: {name: y}\ndata:\n  a: b\n  a: c\n",
      yaml,
    );
    expect(twice.body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 4: key "a" already set in map',
    );
  });

  it("refuses objects of another kind or version", async () => {
    const message = async (body: object) => (await post(maps, JSON.stringify(body))).body.message;
    expect(await message({ kind: "Secret", apiVersion: "v1" })).toBe(
      'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
    );
    expect(await message({ kind: "Foo", apiVersion: "v1" })).toBe(
      'Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    );
    expect(await message({ kind: 5 })).toBe(
      "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
    );
  });

  it("refuses what is nested too deeply, and fails at nothing", async () => {
    const deep = await post(maps, `{"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
    expect([deep.status, deep.body.message]).toEqual([400, expect.stringContaining("exceeded max depth")]);
  });
});

describe("patches that do not fit: upstream's answers", () => {
  const patch = (type: string, body: unknown, query = "") =>
    ask(local.api, "PATCH", `${deployments}/d?dryRun=All${query}`, body, { "content-type": `application/${type}` });

  it("of JSON patches", async () => {
    const missing = await patch("json-patch+json", [{ op: "remove", path: "/spec/nothing" }]);
    expect([missing.status, missing.body.reason, missing.body.message]).toEqual([
      422,
      "Invalid",
      "the server rejected our request due to an error in our request",
    ]);
    const tested = await patch("json-patch+json", [{ op: "test", path: "/spec/replicas", value: 7 }]);
    expect(tested.status).toBe(422);
    expect((await patch("json-patch+json", {})).body.message).toBe(
      "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    );
    const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "/kind", value: "Deployment" }));
    expect((await patch("json-patch+json", many)).body).toMatchObject({
      code: 413,
      message: "The allowed maximum operations in a JSON patch is 10000, got 10001",
    });
    // Each copy of everything doubles it.
    const doubling = Array.from({ length: 40 }, (_, i) => ({ op: "copy", from: "/spec", path: `/spec/x${i}` }));
    expect((await patch("json-patch+json", doubling)).body).toMatchObject({ code: 422, reason: "Invalid" });
  });

  it("of merge patches: the patched object is shown", async () => {
    const wrong = await patch("merge-patch+json", { spec: { replicas: "a" } });
    expect([wrong.status, wrong.body.reason]).toEqual([422, "Invalid"]);
    expect(wrong.body.message).toMatch(
      /^ "" is invalid: patch: Invalid value: "\{.*\}": json: cannot unmarshal string into Go struct field DeploymentSpec\.spec\.replicas of type int32$/,
    );
    const strict = await patch(
      "merge-patch+json",
      '{"spec":{"foo":1,"paused":true,"paused":true}}',
      "&fieldValidation=Strict",
    );
    expect(strict.body.message).toMatch(
      /: strict decoding error: unknown field "spec.foo", duplicate field "spec.paused"$/,
    );
    const warned = await patch("merge-patch+json", { spec: { foo: 1 } });
    expect([warned.status, warned.headers.warning]).toEqual([200, '299 - "unknown field \\"spec.foo\\""']);
  });

  it("of strategic merge patches: the patch is shown as Go prints it", async () => {
    expect((await patch("strategic-merge-patch+json", { spec: { replicas: "a" } })).body.message).toBe(
      ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:a]]": unrecognized type: int32',
    );
    const keyless = await patch("strategic-merge-patch+json", {
      spec: { template: { spec: { containers: [{ image: "z" }] } } },
    });
    expect([keyless.body.reason, keyless.body.message]).toEqual([
      undefined,
      "map: map[image:z] does not contain declared merge key: name",
    ]);
  });

  it("that change what tells the object from others", async () => {
    const named = await patch("merge-patch+json", { metadata: { name: "other" } });
    expect([named.status, named.body.message]).toEqual([
      400,
      "the name of the object (other) does not match the name on the URL (d)",
    ]);
    const moved = await patch("merge-patch+json", { metadata: { namespace: "other" } });
    expect([moved.status, moved.body.message]).toEqual([
      400,
      "the namespace of the provided object does not match the namespace sent on the request",
    ]);
    const stale = await patch("merge-patch+json", { metadata: { resourceVersion: "1" } });
    expect([stale.status, stale.body.message]).toEqual([
      409,
      'Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your changes to the latest version and try again',
    ]);
    expect((await patch("merge-patch+json", { metadata: { uid: "x" } })).status).toBe(409);
    const none = await ask(
      local.api,
      "PATCH",
      `${deployments}/none`,
      {},
      { "content-type": "application/merge-patch+json" },
    );
    expect([none.status, none.body.message]).toEqual([404, 'deployments.apps "none" not found']);
  });
});

describe("options of writes", () => {
  const refusal = async (method: string, query: string, type = "application/json") => {
    const { status, body } = await ask(
      local.api,
      method,
      `${maps}${method === "POST" ? "" : "/m"}?${query}`,
      {},
      {
        "content-type": type,
      },
    );
    return [status, body.message];
  };

  it("are refused with the kind of options that they belong to", async () => {
    expect(await refusal("POST", "dryRun=x")).toEqual([
      422,
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: supported values: "All"',
    ]);
    expect(await refusal("PUT", "fieldValidation=x")).toEqual([
      422,
      'UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"',
    ]);
    expect(await refusal("PATCH", "force=true", "application/merge-patch+json")).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    ]);
    expect(await refusal("PATCH", "", "application/apply-patch+yaml")).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ]);
    expect(await refusal("POST", `fieldManager=${"x".repeat(129)}`)).toEqual([
      422,
      'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
    ]);
    expect(await refusal("DELETE", "propagationPolicy=x")).toEqual([
      422,
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil"',
    ]);
    expect(await refusal("DELETE", "gracePeriodSeconds=x")).toEqual([
      400,
      'strconv.ParseInt: parsing "x": invalid syntax',
    ]);
  });

  it("preconditions of a deletion are held, with upstream's words", async () => {
    const { body } = await ask(local.api, "GET", `${maps}/m`);
    const refused = await ask(local.api, "DELETE", `${maps}/m`, { preconditions: { uid: "other" } });
    expect([refused.status, refused.body.message]).toEqual([
      409,
      `Operation cannot be fulfilled on ConfigMap "m": the UID in the precondition (other) does not match the UID in record (${body.metadata.uid}). The object might have been deleted and then recreated`,
    ]);
    const stale = await ask(local.api, "DELETE", `${maps}/m`, { preconditions: { resourceVersion: "1" } });
    expect([stale.status, stale.body.message]).toEqual([
      409,
      `Operation cannot be fulfilled on ConfigMap "m": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${body.metadata.resourceVersion}). The object might have been modified`,
    ]);
  });
});

describe("what bodies hold", () => {
  it("null is an empty object, as Go reads it", async () => {
    const { status, body } = await post(maps, "null", "?dryRun=All");
    expect([status, body.message]).toEqual([
      422,
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ]);
    expect((await post(maps, "[]", "?dryRun=All")).status).toBe(400);
  });

  it("whole numbers that would be rounded are refused, in built-in kinds and in others", async () => {
    const numbered = (number: string) => `{"metadata":{"name":"n","generation":${number}}}`;
    expect((await post(maps, numbered("9007199254740991"))).status).toBe(201);
    const { status, body } = await post(maps, numbered("9007199254740993"));
    expect([status, body.message]).toEqual([400, expect.stringContaining("cannot be kept exactly by this server")]);
  });

  it("their size counts in bytes", async () => {
    // 600,000 characters of three bytes each are more than 1.5 MiB.
    const body = (length: number) =>
      JSON.stringify({ metadata: { name: "wide" }, revision: 1, data: { a: "中".repeat(length) } });
    const path = "/apis/apps/v1/namespaces/default/controllerrevisions";
    const refused = await post(path, body(600_000), "?");
    expect([refused.status, refused.body.message]).toEqual([500, "etcdserver: request is too large"]);
    expect((await post(path, body(500_000), "?")).status).toBe(201);
  });

  it("a selector that changes is told of beside the labels that it does not match", async () => {
    const patch = [{ op: "replace", path: "/spec/selector/matchLabels/app", value: "x" }];
    const { body } = await ask(local.api, "PATCH", `${deployments}/d`, JSON.stringify(patch), {
      "content-type": "application/json-patch+json",
    });
    expect(body.message).toBe(
      'Deployment.apps "d" is invalid: [spec.template.metadata.labels: Invalid value: {"app":"d"}: `selector` does not match template `labels`, spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable]',
    );
  });
});
