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

/**
 * Objects that kubectl calls configured each time, against Kubernetes too: it compares the manifest's own text with the
 * stored form, which drops zeros and nulls, adds defaults inside lists that have no merge key, and spells quantities
 * its own way (apimachinery strategicpatch). The server changes nothing then.
 */
const restated: Readonly<Record<string, readonly string[]>> = {
  "a zero, null or empty value": [
    ...["configmap/argocd-cmd-params-cm", "configmap/ingress-nginx-controller", "cronjob.batch/pgdumpall"],
    ...["daemonset.apps/calico-node", "daemonset.apps/node-exporter", "deployment.apps/ingress-nginx-controller"],
    ...["priorityclass.scheduling.k8s.io/mesh", "service/postgresql", "serviceaccount/istio-reader-service-account"],
  ],
  "defaults inside a list without merge key": [
    "limitrange/defaults",
    "mutatingwebhookconfiguration.admissionregistration.k8s.io/cert-manager-webhook",
    "mutatingwebhookconfiguration.admissionregistration.k8s.io/kube-prometheus-admission",
    ...["networkpolicy.networking.k8s.io/argocd-metrics", "networkpolicy.networking.k8s.io/redis"],
    ...["statefulset.apps/postgresql", "statefulset.apps/redis-master"],
    "validatingadmissionpolicy.admissionregistration.k8s.io/stable-channel-policy-default.istio.io",
    "validatingwebhookconfiguration.admissionregistration.k8s.io/cert-manager-webhook",
    "validatingwebhookconfiguration.admissionregistration.k8s.io/ingress-nginx-admission",
    "validatingwebhookconfiguration.admissionregistration.k8s.io/istiod-default-validator",
  ],
  "another spelling of a quantity": ["persistentvolume/db-local", "resourcequota/quota"],
  "patch strategy retainKeys or replace": [
    ...["deployment.apps/grafana", "deployment.apps/metrics-server"],
    ...["poddisruptionbudget.policy/calico-kube-controllers", "poddisruptionbudget.policy/prometheus"],
    "poddisruptionbudget.policy/redis-master",
  ],
  "a field that is only written": ["secret/argocd-notifications-secret"],
};

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
    expect(second.length).toBe(count);
    const changed = second.filter((line) => !line.endsWith(" unchanged")).sort();
    expect(changed).toEqual(
      Object.values(restated)
        .flat()
        .map((object) => `${object} configured`)
        .sort(),
    );
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
