import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { consoleBlocks, runBlock } from "#test/docs/console.ts";
import { buildImage, folder, writeLayout } from "#test/support/images/build.ts";
import { shellLayer } from "#test/support/images/shell.ts";
import { type RunningCluster, startPodwire } from "#test/support/running.ts";

const FILES = ["docs/run.md", "docs/services.md", "docs/dns.md"];

describe("C03 C04 V01 X01 docs/run.md, docs/services.md and docs/dns.md, typed as they stand (part: V01 and X01 in words)", () => {
  let state: string;
  let cluster: RunningCluster;
  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), "pw-"));
    process.env["XDG_STATE_HOME"] = state;
    cluster = await startPodwire(["--example", "none", "--ingress", "none", "--nodes", "2"]);
    const page = [folder("www"), { name: "www/index.html", content: "hello from a container\n" }];
    const config = { Cmd: ["/bin/httpd", "-f", "-p", "80", "-h", "/www"], Env: ["PATH=/bin"] };
    const image = buildImage([{ files: shellLayer() }, { files: page }], config);
    writeLayout(mkdtempSync(join(state, "layout-")), image, "docker.io/library/nginx:latest");
    execFileSync("sh", ["-c", `./podwire images load ${state}/layout-*`], { stdio: "ignore" });
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    rmSync(state, { recursive: true, force: true });
  });
  const blocks = FILES.flatMap((file) =>
    consoleBlocks(readFileSync(file, "utf8")).map((block, index) => ({ file, block, index })),
  );
  blocks.forEach(({ file, block, index }) => {
    test(`${file} block ${index + 1}: ${block.heading}`, { timeout: 120_000 }, async () => {
      // The page's cluster has the default name.
      const steps = block.steps.map((step) => ({
        ...step,
        command: step.command.replaceAll(
          /\.\/podwire ((?:services|dns) explain|\w+)/g,
          `./podwire $1 --name ${cluster.name}`,
        ),
      }));
      expect(await runBlock({ ...block, steps }, ["sh"], cluster.env)).toEqual([]);
    });
  });
});
