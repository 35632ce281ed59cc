import { readFileSync } from "node:fs";
import { describe } from "vitest";
import { clusterSuite } from "#test/support/suite.ts";
import { pagesOf, playPage, type Stage } from "#test/support/transcript/suite.ts";

const suite = clusterSuite(["--example", "none"]);

interface Config {
  readonly clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
}

/** The cluster that all pages share. */
async function stage(): Promise<Stage> {
  const { cluster, kubectl } = suite;
  const { kubeconfig } = await cluster.status();
  const view = await kubectl.ok("config view --raw -o json");
  const [first] = (JSON.parse(view) as Config).clusters;
  if (!first) throw new Error(`no cluster in ${readFileSync(kubeconfig, "utf8")}`);
  const ca = Buffer.from(first.cluster["certificate-authority-data"], "base64").toString();
  return { kubeconfig, server: first.cluster.server, ca, kubectl: kubectl.program, stop: async () => {} };
}

describe("U01 U02 K01 pages of transcripts (part: on a cluster)", () => {
  for (const page of pagesOf("cluster")) describe(`${page.name}: ${page.title}`, () => playPage(page, stage));
});
