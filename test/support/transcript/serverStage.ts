import { describe } from "vitest";
import { Client } from "#api/index.ts";
import { controllerUser } from "#apiserver/index.ts";
import { startTestServer } from "#apiserver/testing/server.ts";
import { createLogger } from "#base/log.ts";
import { startControllers } from "#controllers/index.ts";
import { pagesOf, playPage, type Stage } from "./suite.ts";

/** An API server of its own for a page, with all controllers; `kubectl` is a path. */
export async function serverStage(kubectl: string): Promise<Stage> {
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

/** The tests of a folder's pages, each on a server of its own, by the pinned kubectl. */
export function serverPages(folder: string): void {
  const kubectl = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl";
  describe("U01 V03 pages of transcripts (part: without nodes)", () => {
    for (const page of pagesOf(folder))
      describe(`${page.name}: ${page.title}`, () => playPage(page, () => serverStage(kubectl)));
  });
}
