import { describe, expect, it } from "vitest";
import { Mutations } from "#wire/dns/testing/index.ts";
import { testIndex } from "../plugins/kubernetes/testCluster.ts";
import { bothPaths, fuzz } from "./testing.ts";

const inputs = 10_000_000;
const turns = 100;

describe("X01 broken packets (part: ten million)", () => {
  it("crash nothing, are answered alike on both paths, and leave no memory behind", {
    timeout: 3_600_000,
  }, async () => {
    const paths = bothPaths(testIndex());
    await paths.settled();
    const mutations = new Mutations(4711);
    let early = 0;
    for (let turn = 0; turn < turns; turn++) {
      fuzz(paths, mutations, inputs / turns);
      await paths.settled();
      if (turn === turns / 10) early = process.memoryUsage.rss();
    }
    // Less than seven bytes for each packet since: nothing is kept.
    expect(process.memoryUsage.rss() - early).toBeLessThan(64 << 20);
    paths.hotPath.close();
  });
});
