import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { familiarName, formatReference, parseReference, parseWithTag } from "./reference.ts";

const HEX = "0123456789abcdef".repeat(4);

describe("names of images (distribution/reference, normalize_test.go and reference_test.go)", () => {
  it.each([
    ["nginx", "docker.io/library/nginx:latest", "nginx"],
    ["docker.io/library/nginx:1.27", "docker.io/library/nginx:1.27", "nginx"],
    ["docker.io/nginx", "docker.io/library/nginx:latest", "nginx"],
    ["index.docker.io/podwire/echo", "docker.io/podwire/echo:latest", "podwire/echo"],
    ["library/nginx", "docker.io/library/nginx:latest", "nginx"],
    [
      "registry.k8s.io/coredns/coredns:v1.12.0",
      "registry.k8s.io/coredns/coredns:v1.12.0",
      "registry.k8s.io/coredns/coredns",
    ],
    ["localhost/a", "localhost/a:latest", "localhost/a"],
    ["localhost:5000/a/b:tag", "localhost:5000/a/b:tag", "localhost:5000/a/b"],
    ["[2001:db8::1]:5000/repo", "[2001:db8::1]:5000/repo:latest", "[2001:db8::1]:5000/repo"],
    ["127.0.0.1/foo", "127.0.0.1/foo:latest", "127.0.0.1/foo"],
    [`nginx@sha256:${HEX}`, `docker.io/library/nginx@sha256:${HEX}`, "nginx"],
    [`nginx:1@sha256:${HEX}`, `docker.io/library/nginx:1@sha256:${HEX}`, "nginx"],
    ["docker/docker_1--2", "docker.io/docker/docker_1--2:latest", "docker/docker_1--2"],
    ["xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage"],
    ["ABC.com/foo", "ABC.com/foo:latest", "ABC.com/foo"],
  ])("%s is %s", (text, full, familiar) => {
    expect(formatReference(parseWithTag(text))).toBe(full);
    expect(familiarName(parseReference(text))).toBe(familiar);
  });

  it.each([
    ["", "invalid reference format"],
    ["UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"],
    ["a b", "invalid reference format"],
    ["nginx:", "invalid reference format"],
    ["-foo/bar", "invalid reference format"],
    ["foo_/bar", "invalid reference format"],
    ["a//b", "invalid reference format"],
    ["http://nginx", "invalid reference format"],
    [`nginx:${"t".repeat(129)}`, "invalid reference format"],
    [HEX, `invalid repository name (${HEX}), cannot specify 64-byte hexadecimal strings`],
    [`docker.io/${"a/".repeat(128)}a`, "repository name must not be more than 255 characters"],
    ["nginx@sha256:fffffffffffffffffffffffffffffffff", "invalid checksum digest length"],
    [`nginx@md5:${"f".repeat(32)}`, "unsupported digest algorithm"],
  ])("%j is none: %s", (text, words) => {
    expect(() => parseReference(text)).toThrow(words);
  });

  it("come back the same, whatever they were written like", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
    const host = fc.constantFrom("", "localhost/", "reg.example.com/", "127.0.0.1:5000/", "docker.io/");
    const tag = fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined });
    fc.assert(
      fc.property(host, fc.array(part, { minLength: 1, maxLength: 4 }), tag, (registry, parts, given) => {
        // The first part with a dot would be a registry's name.
        fc.pre(registry !== "" || parts.length === 1 || !parts[0]?.includes("."));
        const text = `${registry}${parts.join("/")}${given === undefined ? "" : `:${given}`}`;
        const full = formatReference(parseWithTag(text));
        expect(formatReference(parseWithTag(full))).toBe(full);
      }),
      { seed: 1 },
    );
  });

  it("of any text are refused in words, or read, at once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 2000 }), (text) => {
        try {
          const { registry, repository } = parseReference(text);
          // Nothing in it can turn a path of the registry's API into another.
          expect(`${registry}/${repository}`).not.toMatch(/\.\.|[?#%\\\s]|\/\//);
        } catch (error) {
          expect(error).toMatchObject({ code: "InvalidName" });
        }
      }),
      { seed: 1 },
    );
  });
});
