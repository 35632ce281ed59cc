import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeMessage } from "#wire/dns/index.ts";
import { corpus, Mutations } from "#wire/dns/testing/index.ts";
import { testIndex } from "../plugins/kubernetes/testCluster.ts";
import { type BothPaths, bothPaths, fuzz } from "./testing.ts";

describe("X01 broken packets (part: corpus)", () => {
  let paths: BothPaths;
  beforeAll(async () => {
    paths = bothPaths(testIndex());
    await paths.settled();
  });
  afterAll(() => paths.hotPath.close());

  it.each(corpus)("%s", (_, packet) => {
    const [plugins, hot] = [paths.plugins(packet), paths.hot(packet)];
    if (hot !== "pass") expect(hot).toEqual(plugins);
    if (plugins) expect(decodeMessage(plugins).response).toBe(true);
  });

  it("are answered or not, alike on both paths, whatever is done to them", () => {
    const outcome = fuzz(paths, new Mutations(53), 4000);
    expect(outcome.hot).toBeGreaterThan(100);
    expect(outcome.answered).toBeGreaterThan(outcome.hot);
  });
});
