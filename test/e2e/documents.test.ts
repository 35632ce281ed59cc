import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, looksOnly, runBlock } from "#test/docs/console.ts";
import { eventually } from "#test/support/firstLight.ts";
import { type RunningCluster, startPodwire } from "#test/support/running.ts";

/**
 * Runs the console blocks of a document on a cluster, in their order; each reports where its output differs.
 * A block that only looks may look again for a while: nodes, DNS and nginx follow a change one after the other.
 */
function runDocument(file: string, cluster: () => RunningCluster, wanted: readonly string[] = ["host", "node"]): void {
  const blocks = consoleBlocks(readFileSync(file, "utf8")).filter((block) => wanted.includes(block.where));
  blocks.forEach((block, index) => {
    test(`${file} block ${index + 1}: ${block.heading}`, { timeout: 120_000 }, async () => {
      const { env, nodeShell } = cluster();
      const run = () => runBlock(block, block.where === "node" ? nodeShell("node01") : ["sh"], env);
      if (looksOnly(block)) await eventually(async () => expect(await run()).toEqual([]));
      else expect(await run()).toEqual([]);
    });
  });
}

describe("G01 G04 the ingress walk, typed from its README", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startPodwire(["--ingress", "none"]);
  }, 120_000);
  afterAll(() => cluster?.stop());
  runDocument("examples/ingress-walk/README.md", () => cluster);
});

describe("G02 U03 the online store's README and the corrected notes (part: on a cluster)", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startPodwire(["--example", "none"]);
  }, 120_000);
  afterAll(() => cluster?.stop());
  runDocument("examples/online-store/README.md", () => cluster);
  runDocument("docs/notes-corrected.md", () => cluster);
});
