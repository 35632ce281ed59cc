import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, runBlock } from "#test/docs/console.ts";
import { type RunningCluster, startPodwire } from "#test/support/running.ts";

/** Runs the console blocks of a document on a cluster, in their order; each reports where its output differs. */
function runDocument(file: string, cluster: () => RunningCluster, wanted: readonly string[] = ["host", "node"]): void {
  const blocks = consoleBlocks(readFileSync(file, "utf8")).filter((block) => wanted.includes(block.where));
  blocks.forEach((block, index) => {
    test(`${file} block ${index + 1}: ${block.heading}`, { timeout: 60_000 }, async () => {
      const { env, nodeShell } = cluster();
      expect(await runBlock(block, block.where === "node" ? nodeShell("node01") : ["sh"], env)).toEqual([]);
    });
  });
}

describe("G01 G04 the ingress walk, typed from its README", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startPodwire(["--ingress", "none"]);
  }, 60_000);
  afterAll(() => cluster?.stop());
  runDocument("examples/ingress-walk/README.md", () => cluster);
});

describe("G02 U03 the online store's README and the corrected notes (part: on a cluster)", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startPodwire(["--example", "none"]);
  }, 60_000);
  afterAll(() => cluster?.stop());
  runDocument("examples/online-store/README.md", () => cluster);
  runDocument("docs/notes-corrected.md", () => cluster);
});
