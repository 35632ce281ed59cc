import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { http2Transport, type Transport } from "#api/index.ts";
import type { Pair } from "../testing/certificates.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";
import { TokenFile } from "./token-file.ts";

const issuer = "https://kubernetes.default.svc.cluster.local";
const accounts = "/api/v1/namespaces/default/serviceaccounts";
const selfReview = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const pem = (key: KeyObject, type: "pkcs8" | "spki") => key.export({ type, format: "pem" }).toString();
const old = generateKeyPairSync("rsa", { modulusLength: 2048 });
const current = generateKeyPairSync("ec", { namedCurve: "P-256" });

let test: TestServer;
let admin: Transport;
const open: Transport[] = [];

function as(pair?: Pair, token?: string): Transport {
  const server = `https://127.0.0.1:${test.server.address?.port}`;
  const transport = http2Transport({
    server,
    ca: test.authority.cert,
    ...(pair ?? {}),
    ...(token ? { token: () => token } : {}),
  });
  open.push(transport);
  return transport;
}

/** Who a token is; undefined when it is refused. */
async function whoIs(token: string): Promise<Record<string, unknown> | undefined> {
  const { status, body } = await ask(as(undefined, token), "POST", selfReview, {});
  if (status === 401) return undefined;
  return (body.status as { userInfo: Record<string, unknown> }).userInfo;
}

beforeAll(async () => {
  const tokenFile = new TokenFile('abc,alice,1001,"devs,ops"\nplain,bob,1002\n', "tokens.csv");
  test = await startTestServer({
    serviceAccounts: {
      issuer,
      otherIssuers: ["https://old.example"],
      signingKey: pem(current.privateKey, "pkcs8"),
      verificationKeys: [pem(old.publicKey, "spki"), pem(current.publicKey, "spki")],
    },
    authentication: { tokenFile, bootstrapTokens: true },
  });
  admin = as(await test.authority.issue("admin", { organizations: ["system:masters"] }));
  await ask(admin, "POST", accounts, { metadata: { name: "default" } });
  await ask(admin, "POST", accounts, { metadata: { name: "bob" } });
});
afterAll(async () => {
  for (const transport of open) await transport.close();
  await test.stop();
});

describe("client certificates", () => {
  it("count by name and organisations, with the certificate's digest as credential", async () => {
    const pair = await test.authority.issue("jane", { organizations: ["team", "people"] });
    const digest = createHash("sha256").update(new X509Certificate(pair.cert).raw).digest("hex");
    const { body } = await ask(as(pair), "POST", selfReview, {});
    expect(body.status).toEqual({
      userInfo: {
        username: "jane",
        groups: ["team", "people", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${digest}`] },
      },
    });
  });

  it("are refused when expired or made for servers alone", async () => {
    const expired = await test.authority.issue("jane", { organizations: ["system:masters"], seconds: -1 });
    const server = await test.authority.issue("jane", {
      organizations: ["system:masters"],
      uses: ["1.3.6.1.5.5.7.3.1"],
    });
    const client = await test.authority.issue("jane", {
      organizations: ["system:masters"],
      uses: ["1.3.6.1.5.5.7.3.2"],
    });
    expect((await ask(as(expired), "GET", "/version")).status).toBe(401);
    expect((await ask(as(server), "GET", "/version")).status).toBe(401);
    expect((await ask(as(client), "GET", "/api/v1/nodes")).status).toBe(200);
  });

  it("stop counting on a connection that outlives them", async () => {
    const brief = as(await test.authority.issue("jane", { organizations: ["system:masters"], seconds: 2 }));
    expect((await ask(brief, "GET", "/api/v1/nodes")).status).toBe(200);
    await expect.poll(async () => (await ask(brief, "GET", "/api/v1/nodes")).status, { timeout: 5000 }).toBe(401);
  });
});

describe("static and bootstrap tokens", () => {
  it("take the users of the token file", async () => {
    expect(await whoIs("abc")).toEqual({
      username: "alice",
      uid: "1001",
      groups: ["devs", "ops", "system:authenticated"],
    });
    expect(await whoIs("plain")).toMatchObject({ username: "bob", groups: ["system:authenticated"] });
    expect(await whoIs("abcd")).toBeUndefined();
  });

  it("say where a token file is wrong", () => {
    expect(() => new TokenFile("a,b\n", "x.csv")).toThrow(
      "token file 'x.csv' must have at least 3 columns (token, user name, user uid), found 2",
    );
  });

  it("take bootstrap tokens as long as their Secret says so", async () => {
    const data = (text: string) => Buffer.from(text).toString("base64");
    const secret = (expiration: string) => ({
      metadata: { name: "bootstrap-token-07401b" },
      type: "bootstrap.kubernetes.io/token",
      data: {
        "token-id": data("07401b"),
        "token-secret": data("f395accd246ae52d"),
        expiration: data(expiration),
        "usage-bootstrap-authentication": data("true"),
        "auth-extra-groups": data("system:bootstrappers:worker"),
      },
    });
    const secrets = "/api/v1/namespaces/kube-system/secrets";
    await ask(admin, "POST", secrets, secret(new Date(Date.now() + 60_000).toISOString()));
    expect(await whoIs("07401b.f395accd246ae52d")).toEqual({
      username: "system:bootstrap:07401b",
      groups: ["system:bootstrappers", "system:bootstrappers:worker", "system:authenticated"],
    });
    expect(await whoIs("07401b.f395accd246ae52e")).toBeUndefined();
    await ask(admin, "DELETE", `${secrets}/bootstrap-token-07401b`);
    await ask(admin, "POST", secrets, secret("2020-01-01T00:00:00Z"));
    expect(await whoIs("07401b.f395accd246ae52d")).toBeUndefined();
  });
});

describe("ServiceAccount tokens", () => {
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString());
  const request = (name: string, spec: object) => ask(admin, "POST", `${accounts}/${name}/token`, { spec });
  const tokenOf = async (spec: object) => ((await request("bob", spec)).body.status as { token: string }).token;
  const podNamed = (name: string, account = "bob") => ({
    metadata: { name },
    spec: { nodeName: "node07", serviceAccountName: account, containers: [{ name: "c", image: "x" }] },
  });
  const uidOf = async (path: string, body: object) =>
    (await ask(admin, "POST", path, body)).body.metadata.uid as string;

  it("bound to a pod carry it and its node, and end with the pod", async () => {
    const nodeUid = await uidOf("/api/v1/nodes", { metadata: { name: "node07" } });
    const uid = await uidOf("/api/v1/namespaces/default/pods", podNamed("p"));
    const ref = { apiVersion: "v1", kind: "Pod", name: "p" };
    const token = await tokenOf({ boundObjectRef: { ...ref, uid }, audiences: [], expirationSeconds: 3607 });
    const claims = claimsOf(token);
    expect(claims["kubernetes.io"]).toEqual({
      namespace: "default",
      node: { name: "node07", uid: nodeUid },
      pod: { name: "p", uid },
      serviceaccount: { name: "bob", uid: expect.any(String) },
      warnafter: claims.iat + 3607,
    });
    // What an agent asks for in the ordinary way lives a year.
    expect(claims.exp - claims.iat).toBe(365 * 24 * 3600);
    expect(claims).toMatchObject({
      iss: issuer,
      aud: [issuer, "https://old.example"],
      sub: "system:serviceaccount:default:bob",
    });
    expect(await whoIs(token)).toMatchObject({
      username: "system:serviceaccount:default:bob",
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
      extra: {
        "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`],
        "authentication.kubernetes.io/node-name": ["node07"],
        "authentication.kubernetes.io/node-uid": [nodeUid],
        "authentication.kubernetes.io/pod-name": ["p"],
        "authentication.kubernetes.io/pod-uid": [uid],
      },
    });
    await ask(admin, "DELETE", "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0");
    expect(await whoIs(token)).toBeUndefined();
    // Another pod of that name is another pod.
    await uidOf("/api/v1/namespaces/default/pods", podNamed("p"));
    expect(await whoIs(token)).toBeUndefined();
  });

  it("bound to a Secret or a node end with it", async () => {
    for (const [kind, path] of [
      ["Secret", "/api/v1/namespaces/default/secrets"],
      ["Node", "/api/v1/nodes"],
    ]) {
      await ask(admin, "POST", path as string, { metadata: { name: "tied" } });
      const token = await tokenOf({ boundObjectRef: { apiVersion: "v1", kind, name: "tied" } });
      expect(await whoIs(token)).toMatchObject({ username: "system:serviceaccount:default:bob" });
      await ask(admin, "DELETE", `${path}/tied`);
      expect(await whoIs(token)).toBeUndefined();
    }
  });

  it("are refused where the request does not fit, in upstream's words", async () => {
    const message = async (spec: object, name = "bob") => (await request(name, spec)).body.message;
    expect(await message({ expirationSeconds: 599 })).toBe(
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    );
    expect(await message({ expirationSeconds: 2 ** 32 + 1 })).toContain(
      "may not specify a duration larger than 2^32 seconds",
    );
    const bound = (kind: string, name: string, more = {}) => ({
      boundObjectRef: { apiVersion: "v1", kind, name, ...more },
    });
    expect(await message(bound("ConfigMap", "x"))).toBe("cannot bind token to object of type /v1, Kind=ConfigMap");
    expect(await message(bound("Secret", "x"))).toBe('secrets "x" not found');
    await ask(admin, "POST", "/api/v1/namespaces/default/pods", podNamed("other", "default"));
    expect(await message(bound("Pod", "other"))).toBe(
      'cannot bind token for serviceaccount "bob" to pod running with serviceaccount "default"',
    );
    expect(await message(bound("Pod", "other", { uid: "u" }), "default")).toBe(
      'Operation cannot be fulfilled on Pod "other": the UID in the bound object reference (u) does not match the UID in record. The object might have been deleted and then recreated',
    );
    expect(await message({}, "nobody")).toBe('serviceaccounts "nobody" not found');
  });

  it("are reviewed for the audience asked for", async () => {
    const token = await tokenOf({ audiences: ["vault", issuer] });
    const review = async (spec: object) =>
      (await ask(admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec })).body.status;
    expect(await review({ token, audiences: ["vault", "elsewhere"] })).toMatchObject({
      authenticated: true,
      audiences: ["vault"],
      user: { username: "system:serviceaccount:default:bob" },
    });
    expect(await review({ token, audiences: ["elsewhere"] })).toMatchObject({ user: {} });
    expect(await review({ token: "rubbish" })).toEqual({ user: {}, error: "invalid bearer token" });
  });

  it("have their keys published, the old beside the new", async () => {
    const keys = await ask(admin, "GET", "/openid/v1/jwks");
    expect(keys.headers["content-type"]).toBe("application/jwk-set+json");
    const found = (keys.body as unknown as { keys: Record<string, string>[] }).keys;
    expect(found.map((k) => [k.use, k.kty, k.alg])).toEqual([
      ["sig", "EC", "ES256"],
      ["sig", "RSA", "RS256"],
    ]);
    const der = old.publicKey.export({ type: "spki", format: "der" });
    expect(found[1]?.kid).toBe(createHash("sha256").update(der).digest("base64url"));
    const configuration = await ask(admin, "GET", "/.well-known/openid-configuration");
    expect(configuration.headers["content-type"]).toBe("application/json");
    expect(configuration.body).toEqual({
      issuer,
      jwks_uri: "https://192.168.1.10:6443/openid/v1/jwks",
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256", "RS256"],
    });
  });
});

describe("the anonymous", () => {
  it("are refused by name, and wrong credentials make nobody anonymous", async () => {
    const nobody = as();
    const refused = await ask(nobody, "GET", "/");
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'forbidden: User "system:anonymous" cannot get path "/"',
    ]);
    expect((await ask(nobody, "GET", "/api/v1/pods")).body.message).toBe(
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    );
    expect((await ask(as(undefined, "wrong"), "GET", "/version")).status).toBe(401);
  });

  it("can be kept out, or let in at some paths only", async () => {
    for (const [anonymous, expected] of [
      [{ enabled: false }, [401, 401]],
      [{ enabled: true, paths: ["/livez"] }, [200, 401]],
    ] as const) {
      const other = await startTestServer({ authentication: { anonymous } });
      const nobody = http2Transport({
        server: `https://127.0.0.1:${other.server.address?.port}`,
        ca: other.authority.cert,
      });
      const statuses = [(await ask(nobody, "GET", "/livez")).status, (await ask(nobody, "GET", "/version")).status];
      expect(statuses).toEqual(expected);
      await nobody.close();
      await other.stop();
    }
  });
});
