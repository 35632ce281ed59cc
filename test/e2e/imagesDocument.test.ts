import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, runBlock } from "#test/docs/console.ts";
import { buildImage, folder } from "#test/support/images/build.ts";
import { findRegistry, Registry } from "#test/support/images/registry.ts";
import { shellLayer } from "#test/support/images/shell.ts";
import { type RunningCluster, startPodwire } from "#test/support/running.ts";

const FILE = "docs/images.md";
const skip = findRegistry() ? {} : { skip: true, meta: { skipReason: "docker-registry is not installed" } };

describe("U02 docs/images.md, typed as it stands (part: images)", skip, () => {
  let folderOfState: string;
  let registry: Registry;
  let cluster: RunningCluster;
  beforeAll(async () => {
    folderOfState = mkdtempSync(join(tmpdir(), "pw-"));
    process.env["XDG_STATE_HOME"] = folderOfState;
    registry = await Registry.start();
    const page = [folder("www"), { name: "www/index.html", content: "hello from an image\n" }];
    const config = { Entrypoint: ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"], Env: ["PATH=/bin"] };
    await registry.push("web", "1", buildImage([{ files: shellLayer() }, { files: page }], config));
    await registry.push(
      "other",
      "1",
      buildImage([{ files: [{ name: "file", content: "x".repeat(5000) }], packing: "none" }]),
    );
    const file = join(folderOfState, "cluster.yaml");
    writeFileSync(file, `images: { mirrors: { registry.test: ["http://${registry.host}"] } }\n`);
    cluster = await startPodwire(["--example", "none", "--ingress", "none", "--nodes", "1", "--config", file]);
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    await registry?.stop();
    rmSync(folderOfState, { recursive: true, force: true });
  });
  consoleBlocks(readFileSync(FILE, "utf8")).forEach((block, index) => {
    test(`block ${index + 1}: ${block.heading}`, { timeout: 120_000 }, async () => {
      // The page's file lies in a folder of the test's.
      const steps = block.steps.map((step) => ({
        ...step,
        command: step.command.replace("cluster.yaml", `${folderOfState}/cluster.yaml`),
      }));
      expect(await runBlock({ ...block, steps }, ["sh"], cluster.env)).toEqual([]);
    });
  });
});
