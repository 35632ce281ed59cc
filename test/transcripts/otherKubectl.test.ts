import { execFileSync } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { serverStage } from "#test/support/transcript/serverStage.ts";
import { pagesOf, playPage } from "#test/support/transcript/suite.ts";

/** A kubectl of this machine that is not the pinned one. */
function found(): { path: string; version: string } | undefined {
  const pinned = process.env["PODWIRE_TEST_KUBECTL"];
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    try {
      const path = join(folder, "kubectl");
      accessSync(path, constants.X_OK);
      if (pinned && realpathSync(path) === realpathSync(pinned)) continue;
      const version = execFileSync(path, ["version", "--client"], { encoding: "utf8", timeout: 20_000 });
      return { path, version: /v\d+\.\d+\.\d+/.exec(version)?.[0] ?? "of an unknown version" };
    } catch {
      // None here, or none that runs.
    }
  }
  return undefined;
}

const other = found();
const name = other ? `the machine's kubectl ${other.version}` : "another kubectl, which this machine has not";
describe("U01 pages of transcripts by the machine's own kubectl (part: another version)", () => {
  for (const page of pagesOf("any"))
    describe.skipIf(!other)(`${page.name}: ${page.title}, by ${name}`, () =>
      playPage(page, () => serverStage(other?.path ?? "kubectl")),
    );
});
