import { describe, expect, it } from "vitest";
import { decodeMessage } from "#wire/dns/index.ts";
import { corpus, Mutations } from "#wire/dns/testing/index.ts";
import { testIndex } from "../plugins/kubernetes/testCluster.ts";
import { bothPaths, fuzz } from "./testing.ts";

describe("X01 broken packets (part: corpus)", () => {
  it.each(corpus)("%s", async (_, packet) => {
    const paths = bothPaths(testIndex());
    await paths.settled();
    const [plugins, hot] = [paths.plugins(packet), paths.hot(packet)];
    if (hot !== "pass") expect(hot).toEqual(plugins);
    if (plugins) expect(decodeMessage(plugins).response).toBe(true);
    paths.hotPath.close();
  });

  it("are answered or not, alike on both paths, whatever is done to them", async () => {
    const paths = bothPaths(testIndex());
    await paths.settled();
    const outcome = fuzz(paths, new Mutations(53), 4000);
    expect(outcome.hot).toBeGreaterThan(100);
    expect(outcome.answered).toBeGreaterThan(outcome.hot);
    paths.hotPath.close();
  });
});
