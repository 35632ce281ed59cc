import { describe, expect, it } from "vitest";
import { Client } from "#api/index.ts";
import { controllerUser } from "#apiserver/index.ts";
import { startTestServer } from "#apiserver/testing/server.ts";
import { createLogger } from "#base/log.ts";
import { startControllers } from "#controllers/index.ts";
import { invocations } from "#test/support/transcript/page.ts";
import { pagesOf, playPage, type Stage } from "#test/support/transcript/suite.ts";

const kubectl = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl";
const pages = pagesOf("server");

/** An API server of its own for a page, with all controllers. */
async function stage(): Promise<Stage> {
  const test = await startTestServer();
  const log = createLogger("kube-controller-manager", { level: "error" });
  const client = new Client(test.server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
  const controllers = await startControllers({
    client,
    log,
    options: {
      podCidrs: ["10.244.0.0/16"],
      clusterCaPem: test.authority.cert,
      serviceCidrs: ["10.96.0.0/12"],
      apiAddress: { host: "192.168.1.10", port: 6443 },
    },
  });
  await controllers.idle();
  const stop = async () => {
    await controllers.stop();
    await test.stop();
  };
  const server = `https://127.0.0.1:${test.server.address?.port}`;
  return { kubeconfig: test.kubeconfig, server, ca: test.authority.cert, kubectl, stop };
}

describe("pages of transcripts", () => {
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
describe.concurrent("server", () => {
  for (const page of pages)
    describe(`U01 V03 ${page.name}: ${page.title} (part: without nodes)`, { concurrent: false }, () =>
      playPage(page, stage),
    );
});
