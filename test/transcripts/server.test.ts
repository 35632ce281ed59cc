import { describe, expect, it } from "vitest";
import { invocations } from "#test/support/transcript/page.ts";
import { serverStage } from "#test/support/transcript/serverStage.ts";
import { pagesOf, playPage } from "#test/support/transcript/suite.ts";

const kubectl = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl";
const pages = pagesOf("server");

describe("what stands in the pages", () => {
  const sections = [...pages, ...pagesOf("cluster")].flatMap(({ sections }) => sections);

  it("every section says where its texts are from", () => {
    expect(sections.filter(({ sources }) => sources.length === 0).map(({ title }) => title)).toEqual([]);
  });

  it("there are at least 150 invocations", () => {
    const count = sections.flatMap(({ steps }) => steps).reduce((sum, step) => sum + invocations(step), 0);
    expect(count).toBeGreaterThanOrEqual(150);
  });
});

// A page waits for its kubectl most of the time.
describe.concurrent("U01 V03 pages of transcripts (part: without nodes)", () => {
  for (const page of pages)
    describe(`${page.name}: ${page.title}`, { concurrent: false }, () => playPage(page, () => serverStage(kubectl)));
});
