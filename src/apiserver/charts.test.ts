import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Transport } from "#api/index.ts";
import { ask } from "./testing/client.ts";
import { type KubectlRun, kubectlFor } from "./testing/kubectl.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

/** Manifests with the shapes that well-known charts render; written for this test. */
const charts = [
  ...["argo-cd", "cert-manager", "databases", "ingress-nginx", "kube-prometheus-stack", "metrics-server", "networks"],
];

const text = (chart: string) => readFileSync(new URL(`./testing/charts/${chart}.yaml`, import.meta.url), "utf8");
const all = charts.map(text).join("\n---\n");
const count = parseAllDocuments(all).filter((d) => d.contents !== null).length;

interface Running {
  readonly test: TestServer;
  readonly api: Transport;
  readonly k: KubectlRun;
}

async function running(): Promise<Running> {
  const test = await startTestServer();
  const api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  return { test, api, k: kubectlFor(test) };
}

/** Lines of kubectl's output that are no warnings. */
const lines = (output: string) => output.split("\n").filter((line) => line && !line.startsWith("Warning: "));

describe("U01 manifests of the kinds that well-known charts render apply twice without change", {
  timeout: 120_000,
}, () => {
  let client: Running;
  let server: Running;
  beforeAll(async () => {
    [client, server] = [await running(), await running()];
  });
  afterAll(async () => {
    await client.test.stop();
    await server.test.stop();
  });

  it("kubectl apply, again, and diff", async () => {
    const first = lines(await client.k("apply -f FILE", all));
    expect(first.filter((line) => !line.endsWith(" created"))).toEqual([]);
    expect(first.length).toBe(count);
    const revision = client.test.server.revision;
    const second = lines(await client.k("apply -f FILE", all));
    expect(second.filter((line) => !line.endsWith(" unchanged"))).toEqual([]);
    expect(second.length).toBe(count);
    expect(client.test.server.revision).toBe(revision);
    expect(lines(await client.k("diff -f FILE", all))).toEqual([]);
  });

  it("kubectl apply --server-side, again: no resourceVersion changes", async () => {
    const first = lines(await server.k("apply --server-side -f FILE", all));
    expect(first.filter((line) => !line.endsWith(" serverside-applied"))).toEqual([]);
    const revision = server.test.server.revision;
    const second = lines(await server.k("apply --server-side -f FILE", all));
    expect(second).toEqual(first);
    expect(server.test.server.revision).toBe(revision);
    expect(lines(await server.k("diff --server-side -f FILE", all))).toEqual([]);
  });

  it("what client and server apply is the same object", async () => {
    for (const path of ["/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets", "/api/v1/services"]) {
      const [a, b] = await Promise.all([client, server].map(({ api }) => ask(api, "GET", path)));
      const specs = (items: { metadata: { name: string }; spec?: unknown }[] = []) =>
        items.map(({ metadata, spec }) => {
          // Addresses and node ports are drawn by each server for itself.
          const drawn = JSON.stringify(spec).replace(
            /"clusterIPs?":(\[[^\]]*\]|"[^"]*"),?|"(?:nodePort|healthCheckNodePort)":\d+,?/g,
            "",
          );
          return `${metadata.name} ${drawn}`;
        });
      expect(specs(a?.body.items as never)).toEqual(specs(b?.body.items as never));
    }
  });
});
