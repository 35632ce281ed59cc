import { describe, expect, it } from "vitest";
import { endpointsOf } from "./config.ts";
import { credentialsFor, parseKeyring } from "./credentials.ts";
import { parseChallenges } from "./registry/challenge.ts";

const auth = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString("base64");

describe("credentials of registries", () => {
  // kubernetes.io/docs/concepts/containers/images, "Interpretation of config.json".
  const keyring = parseKeyring(
    JSON.stringify({
      auths: {
        "my-registry.example/images": { auth: auth("a", "1") },
        "*.my-registry.example/images": { auth: auth("b", "2") },
        "https://index.docker.io/v1/": { username: "hub", password: "p:w" },
        "my-registry.example": { auth: auth("c", "3") },
        "tokens.example": { identitytoken: "refresh" },
        "empty.example": {},
      },
    }),
    "dockerconfigjson",
  );
  const names = (registry: string, repository: string) =>
    credentialsFor(keyring, registry, repository).map(({ username, password }) => `${username}:${password}`);

  it("are those of the registry, the longest path first, with * for one label", () => {
    expect(names("my-registry.example", "images/x")).toEqual(["a:1", "c:3"]);
    expect(names("my-registry.example", "other")).toEqual(["c:3"]);
    expect(names("sub.my-registry.example", "images/x")).toEqual(["b:2"]);
    expect(names("a.sub.my-registry.example", "images/x")).toEqual([]);
    expect(names("docker.io", "library/nginx")).toEqual(["hub:p:w"]);
    expect(names("my-registryXexample", "images/x")).toEqual([]);
    expect(names("empty.example", "x")).toEqual([]);
    expect(credentialsFor(keyring, "tokens.example", "x")[0]?.identityToken).toBe("refresh");
  });

  it("come in the older form too, and not from what is no JSON", () => {
    const old = parseKeyring(JSON.stringify({ "reg:5000": { auth: auth("u", "p") } }), "dockercfg");
    expect(credentialsFor(old, "reg:5000", "x")).toEqual([{ username: "u", password: "p" }]);
    expect(() => parseKeyring("nothing", "dockercfg")).toThrow();
    expect(parseKeyring("null", "dockerconfigjson").entries).toEqual([]);
  });
});

describe("places of registries", () => {
  it("are mirrors, then the registry, by https unless configured otherwise", () => {
    const settings = {
      mirrors: { "docker.io": ["http://127.0.0.1:5000/hub/", "mirror.example"], "*": ["any.example"] },
      insecure: ["local:5000"],
    };
    expect(endpointsOf("docker.io", settings).map(({ base }) => base)).toEqual([
      "http://127.0.0.1:5000/hub",
      "https://mirror.example",
      "https://registry-1.docker.io",
    ]);
    expect(endpointsOf("local:5000", settings).map(({ base }) => base)).toEqual([
      "https://any.example",
      "http://local:5000",
    ]);
    expect(endpointsOf("localhost:5000", { mirrors: {}, insecure: [] })[0]?.base).toBe("https://localhost:5000");
  });
});

describe("challenges (RFC 9110 section 11.6.1)", () => {
  it("are taken apart", () => {
    expect(
      parseChallenges('Bearer realm="https://auth.example/token",service="a, b",scope="repository:x:pull"'),
    ).toEqual([
      {
        scheme: "bearer",
        parameters: { realm: "https://auth.example/token", service: "a, b", scope: "repository:x:pull" },
      },
    ]);
    expect(parseChallenges('Basic realm=simple, Bearer realm="x \\"y\\""')).toEqual([
      { scheme: "basic", parameters: { realm: "simple" } },
      { scheme: "bearer", parameters: { realm: 'x "y"' } },
    ]);
    expect(parseChallenges("")).toEqual([]);
    expect(parseChallenges("=,;")).toEqual([]);
    expect(parseChallenges(`Bearer ${'a="'.repeat(5000)}`).length).toBeLessThanOrEqual(5000);
  });
});
