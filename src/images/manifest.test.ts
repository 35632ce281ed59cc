import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex } from "#test/support/images/build.ts";
import { ImageFault } from "./errors.ts";
import {
  checkConfig,
  choosePlatform,
  isIndex,
  packingOf,
  parseConfig,
  parseManifest,
  parseObject,
} from "./manifest.ts";

const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };
const HEX = "a".repeat(64);

describe("manifests and configurations", () => {
  it("say what an image consists of", () => {
    const image = buildImage([{ files: [{ name: "a" }], packing: "zstd" }], {
      Entrypoint: ["/entry"],
      Cmd: ["arg"],
      Env: ["A=1", "B=x=y", "C"],
      User: "web:www",
      WorkingDir: "/srv",
      ExposedPorts: { "80/tcp": {} },
      StopSignal: "SIGQUIT",
    });
    const { config, layers } = parseManifest(parseObject(image.manifest.bytes, "it"));
    expect(config.digest).toBe(image.config.digest);
    expect(layers.map(({ mediaType }) => packingOf(mediaType))).toEqual(["zstd"]);
    const parsed = parseConfig(image.config.bytes);
    expect(parsed).toMatchObject({
      entrypoint: ["/entry"],
      cmd: ["arg"],
      env: [
        ["A", "1"],
        ["B", "x=y"],
        ["C", ""],
      ],
      user: "web:www",
      workingDir: "/srv",
      exposedPorts: ["80/tcp"],
      stopSignal: "SIGQUIT",
    });
    expect(() => checkConfig(parsed, 2, parsed.platform)).toThrow("mismatched image rootfs and manifest layers");
    expect(() => checkConfig({ ...parsed, platform: arm64 }, 1, amd64)).toThrow(
      "is for linux/arm64, this machine is linux/amd64",
    );
  });

  it("of an index: the one for this machine", () => {
    const [one, other] = [buildImage([{ files: [{ name: "1" }] }]), buildImage([{ files: [{ name: "2" }] }])];
    const index = parseObject(
      buildIndex([
        { image: one, architecture: "amd64" },
        { image: other, architecture: "arm64" },
      ]).bytes,
      "it",
    );
    expect(isIndex(index)).toBe(true);
    expect(choosePlatform(index, amd64, "x").digest).toBe(one.manifest.digest);
    expect(choosePlatform(index, arm64, "x").digest).toBe(other.manifest.digest);
    expect(() => choosePlatform(index, { os: "linux", architecture: "riscv64" }, "reg/x:1")).toThrow(
      "no match for platform in manifest: reg/x:1 has none for linux/riscv64: not found",
    );
  });

  it.each<[string, unknown, string]>([
    ["schema 1", { schemaVersion: 1, name: "x" }, "no longer supported"],
    ["an artifact", { schemaVersion: 2, layers: [] }, "it is not one of an image"],
    ["a digest that is a path", { config: { digest: "sha256:../../etc/passwd", size: 1 } }, "only sha256"],
    ["another algorithm", { config: { digest: `sha512:${HEX}${HEX}`, size: 1 } }, "only sha256"],
    ["a negative size", { config: { digest: `sha256:${HEX}`, size: -1 } }, "size -1"],
    ["a huge size", { config: { digest: `sha256:${HEX}`, size: 2 ** 50 } }, "allowed is 0 to"],
    ["a huge configuration", { config: { digest: `sha256:${HEX}`, size: 5 * 1024 * 1024 } }, "allowed are 4194304"],
    [
      "too many layers",
      { config: { digest: `sha256:${HEX}`, size: 1 }, layers: Array(128).fill({}) },
      "allowed are 127",
    ],
  ])("with %s are refused", (_what, document, words) => {
    expect(() => parseManifest(document as Record<string, unknown>)).toThrow(words);
  });

  it("of layers that are no file systems are refused", () => {
    expect(() => packingOf("application/vnd.cncf.helm.chart.content.v1.tar+gzip")).toThrow(
      "is no part of a file system",
    );
    expect(() => packingOf("__proto__")).toThrow("is no part of a file system");
  });

  it("of any JSON are read or refused, never anything else", () => {
    const parse = (bytes: Uint8Array): void => {
      const document = parseObject(bytes, "it");
      if (isIndex(document)) choosePlatform(document, amd64, "x");
      else parseManifest(document);
      parseConfig(bytes);
    };
    const check = (bytes: Uint8Array): void => {
      try {
        parse(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ImageFault);
      }
    };
    const text = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "");
    fc.assert(
      fc.property(fc.jsonValue(), (value) => check(text(value))),
      { seed: 1 },
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => check(bytes)),
      { seed: 1 },
    );
    const any = fc.jsonValue({ maxDepth: 2 });
    const members = { config: any, layers: any, manifests: any, rootfs: any, mediaType: any, schemaVersion: any };
    fc.assert(
      fc.property(fc.record(members, { requiredKeys: [] }), (value) => check(text(value))),
      { seed: 1 },
    );
  });
});
