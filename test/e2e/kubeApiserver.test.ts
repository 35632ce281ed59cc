import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, runBlock } from "#test/docs/console.ts";

const page = "docs/kube-apiserver.md";

describe(`${page} (part: the API server alone, typed from its page)`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "podwire-page-"));
    writeFileSync(join(folder, "podwire"), `#!/bin/sh\nexec ${resolve("podwire")} "$@"\n`, { mode: 0o755 });
  });
  afterAll(() => {
    // The page ends what it starts; a block that failed may not have.
    const pid = Number(/\d+/.exec(readFileSync(join(folder, "data/lock"), "utf8"))?.[0]);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
    rmSync(folder, { recursive: true, force: true });
  });

  consoleBlocks(readFileSync(page, "utf8")).forEach((block, index) => {
    test(`block ${index + 1}: ${block.heading}`, { timeout: 60_000 }, async () => {
      const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}`, KUBECONFIG: "" };
      expect(await runBlock(block, ["sh", "-c", `cd ${folder} && exec sh`], env)).toEqual([]);
    });
  });
});
