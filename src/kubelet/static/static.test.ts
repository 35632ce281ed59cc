import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pod } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { ManifestFolder } from "./folder.ts";
import { isStaticPod, staticPod } from "./manifest.ts";

const manifest = (name: string, more = "") =>
  `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n${more}spec:\n  containers:\n  - {name: c, image: nginx}\n`;

describe("K03 a static pod (part: what a manifest becomes)", () => {
  it("is named after its node, and known by its content", () => {
    const pod = staticPod(manifest("web"), "node01") as Pod;
    expect(pod).toMatchObject({
      metadata: { name: "web-node01", namespace: "default", annotations: { "kubernetes.io/config.source": "file" } },
      spec: { nodeName: "node01", tolerations: [{ operator: "Exists", effect: "NoExecute" }] },
    });
    expect(pod.metadata.uid).toMatch(/^[0-9a-f]{32}$/);
    expect(isStaticPod(pod)).toBe(true);
    expect(staticPod(`${manifest("web")}# \n`, "node01")?.metadata.uid).not.toBe(pod.metadata.uid);
    expect(staticPod(manifest("web"), "node02")?.metadata.uid).not.toBe(pod.metadata.uid);
  });

  it("is none where the manifest names the process that does its work", () => {
    const annotated = manifest("kube-apiserver", "  annotations: {podwire.dev/process: kube-apiserver}\n");
    expect(staticPod(annotated, "controlplane")).toBeUndefined();
  });

  it.each(["kind: Service", "{", "", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}"])(
    "is none of %j",
    (text) => {
      expect(() => staticPod(text, "node01")).toThrow();
    },
  );
});

describe("a node's folder of manifests", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pw-static-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is read again when files come, change and go; what cannot be run is said once", async () => {
    const lines: string[] = [];
    const log = createLogger("test", { level: "debug", write: (line) => void lines.push(line) });
    const path = join(folder, "manifests");
    mkdirSync(path);
    writeFileSync(join(path, "broken.yaml"), "kind: Job");
    let names: string[] = [];
    const source = new ManifestFolder(path, "n", log, (pods) => {
      names = pods.map(({ metadata }) => metadata.name);
    });
    source.start();
    expect(names).toEqual([]);
    writeFileSync(join(path, "a.yaml"), manifest("a"));
    await expect.poll(() => names).toEqual(["a-n"]);
    writeFileSync(join(path, "a.yaml"), manifest("b"));
    writeFileSync(join(path, ".hidden.yaml"), manifest("hidden"));
    await expect.poll(() => names).toEqual(["b-n"]);
    rmSync(join(path, "a.yaml"));
    await expect.poll(() => names).toEqual([]);
    source.stop();
    expect(lines.filter((line) => line.includes("broken.yaml"))).toHaveLength(1);
  });
});
