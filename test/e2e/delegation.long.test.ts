import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, looksOnly, runBlock } from "#test/docs/console.ts";
import { eventually } from "#test/support/firstLight.ts";
import { type RunningCluster, startPodwire } from "#test/support/running.ts";

/** The example as it is typed; test/kernel/dnsWalk.test.ts has the same walk without a cluster. */
describe("D04 root, top-level and authoritative servers as three pods, walked by dig +trace", () => {
  let cluster: RunningCluster;
  beforeAll(async () => {
    cluster = await startPodwire(["--example", "none", "--ingress", "none"]);
  }, 120_000);
  afterAll(() => cluster?.stop());

  const blocks = consoleBlocks(readFileSync("examples/delegation/README.md", "utf8"));
  blocks.forEach((block, index) => {
    test(`block ${index + 1} of the README`, { timeout: 120_000 }, async () => {
      const run = () => runBlock(block, ["sh"], cluster.env);
      if (looksOnly(block)) await eventually(async () => expect(await run()).toEqual([]));
      else expect(await run()).toEqual([]);
    });
  });
});
