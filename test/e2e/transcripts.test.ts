import { join } from "node:path";
import { describe } from "vitest";
import { clusterSuite } from "#test/support/suite.ts";
import { clusterStage } from "#test/support/transcript/clusterStage.ts";
import { pagesOf, playPage, type Stage } from "#test/support/transcript/suite.ts";

const suite = clusterSuite(["--example", "none"]);

async function stage(): Promise<Stage> {
  const { kubeconfig } = await suite.cluster.status();
  return clusterStage(kubeconfig, join(suite.cluster.directory, "home"));
}

describe("U01 U02 K01 pages of transcripts (part: on a cluster)", () => {
  for (const page of pagesOf("cluster")) describe(`${page.name}: ${page.title}`, () => playPage(page, stage));
});
