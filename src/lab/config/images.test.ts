import { describe, expect, it } from "vitest";
import { imageSettings, parseConfigFile, resolveConfig } from "./index.ts";

const read = (text: string) => parseConfigFile(text, "c.yaml");

describe("the section images of a configuration", () => {
  it("is strict, or a map; the rest has defaults", () => {
    expect(resolveConfig(read("images: strict\n")).images).toEqual({
      strict: true,
      mirrors: {},
      insecure: [],
      templates: {},
    });
    const text = `images:
  strict: false
  mirrors: { docker.io: ["http://127.0.0.1:5000/hub"], "*": [mirror.example] }
  insecure: ["localhost:5000", "[::1]:5000"]
  templates: { nginx: [reg.example/web] }
`;
    expect(imageSettings(read(text).images)).toEqual({
      strict: false,
      mirrors: { "docker.io": ["http://127.0.0.1:5000/hub"], "*": ["mirror.example"] },
      insecure: ["localhost:5000", "[::1]:5000"],
      templates: { nginx: ["reg.example/web"] },
    });
    expect(resolveConfig({}).images.strict).toBe(false);
  });

  it.each([
    ["images: lax\n", "c.yaml:1: images: allowed is strict, or a map of strict, mirrors, insecure, templates"],
    [
      "images:\n  stict: true\n",
      'c.yaml:2: images: unknown key "stict"; allowed are strict, mirrors, insecure, templates',
    ],
    ["images:\n  strict: sure\n", "c.yaml:2: images.strict: allowed is true or false"],
    ["images:\n  insecure: localhost:5000\n", "c.yaml:2: images.insecure: allowed is a list"],
    [
      "images:\n  insecure:\n  - http://localhost\n",
      'c.yaml:3: images.insecure: found "http://localhost"; allowed is a registry',
    ],
    ["images:\n  mirrors: [a]\n", "c.yaml:2: images.mirrors: allowed is a map of lists"],
    [
      "images:\n  mirrors:\n    docker.io: [ftp://x]\n",
      'c.yaml:3: images.mirrors.docker.io: found "ftp://x"; allowed is a registry, or an URL',
    ],
    ["images:\n  mirrors:\n    a/b: [x]\n", 'images.mirrors.a/b: "a/b" is no registry'],
    ["images:\n  mirrors:\n    docker.io: ['http://u:p@x']\n", "allowed is a registry, or an URL"],
  ])("%j is refused with its line", (text, words) => {
    expect(() => read(text)).toThrow(words);
  });
});
