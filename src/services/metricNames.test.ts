import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { Metrics } from "#base/metrics.ts";
import { FakeNftables } from "#kernel/nft/index.ts";
import { type Iptables, iptablesBackend, nftablesBackend } from "./backends/index.ts";
import { serviceFrontends } from "./model/index.ts";
import { proxyMetrics } from "./proxyMetrics.ts";
import { healthPages, ProxyHealth } from "./serving/index.ts";
import { service, slice } from "./testing/objects.ts";

const rules = "kubeproxy_sync_proxy_rules";

/** Type, labels, help: the page "Kubernetes Metrics Reference" of Kubernetes 1.36, component kube-proxy. */
const reference: Readonly<Record<string, readonly [type: string, labels: string, help: string]>> = {
  kubeproxy_conntrack_reconciler_deleted_entries_total: [
    ...(["counter", "ip_family"] as const),
    "Cumulative conntrack flows deleted by conntrack reconciler",
  ],
  kubeproxy_conntrack_reconciler_sync_duration_seconds: [
    ...(["histogram", "ip_family"] as const),
    "ReconcileConntrackFlowsLatency latency in seconds",
  ],
  kubeproxy_network_programming_duration_seconds: [
    ...(["histogram", "ip_family"] as const),
    "In Cluster Network Programming Latency in seconds",
  ],
  kubeproxy_proxy_healthz_total: ["counter", "code", "Cumulative proxy healthz HTTP status"],
  kubeproxy_proxy_livez_total: ["counter", "code", "Cumulative proxy livez HTTP status"],
  kubeproxy_sync_full_proxy_rules_duration_seconds: [
    ...(["histogram", "ip_family"] as const),
    "SyncProxyRules latency in seconds for full resyncs",
  ],
  kubeproxy_sync_partial_proxy_rules_duration_seconds: [
    ...(["histogram", "ip_family"] as const),
    "SyncProxyRules latency in seconds for partial resyncs",
  ],
  [`${rules}_duration_seconds`]: ["histogram", "ip_family", "SyncProxyRules latency in seconds"],
  [`${rules}_endpoint_changes_pending`]: ["gauge", "", "Pending proxy rules Endpoint changes"],
  [`${rules}_endpoint_changes_total`]: ["counter", "", "Cumulative proxy rules Endpoint changes"],
  [`${rules}_iptables_last`]: [
    ...(["gauge", "ip_family,table"] as const),
    "Number of iptables rules written by kube-proxy in last sync",
  ],
  [`${rules}_iptables_partial_restore_failures_total`]: [
    ...(["counter", "ip_family"] as const),
    "Cumulative proxy iptables partial restore failures",
  ],
  [`${rules}_iptables_restore_failures_total`]: [
    ...(["counter", "ip_family"] as const),
    "Cumulative proxy iptables restore failures",
  ],
  [`${rules}_iptables_total`]: [
    ...(["gauge", "ip_family,table"] as const),
    "Total number of iptables rules owned by kube-proxy",
  ],
  [`${rules}_last_queued_timestamp_seconds`]: ["gauge", "ip_family", "The last time a sync of proxy rules was queued"],
  [`${rules}_last_timestamp_seconds`]: ["gauge", "ip_family", "The last time proxy rules were successfully synced"],
  [`${rules}_nftables_sync_failures_total`]: ["counter", "ip_family", "Cumulative proxy nftables sync failures"],
  [`${rules}_no_local_endpoints_total`]: [
    ...(["gauge", "ip_family,traffic_policy"] as const),
    "Number of services with a Local traffic policy and no endpoints",
  ],
  [`${rules}_service_changes_pending`]: ["gauge", "", "Pending proxy rules Service changes"],
  [`${rules}_service_changes_total`]: ["counter", "", "Cumulative proxy rules Service changes"],
};

/** kubeproxy_… metrics as a scraper sees them, in the reference's form. */
function shown(metrics: Metrics): Record<string, readonly [string, string, string]> {
  const text = metrics.text();
  const found: Record<string, readonly [string, string, string]> = {};
  for (const [, name = "", help = ""] of text.matchAll(/^# HELP (kubeproxy_\S+) (.*)$/gm)) {
    const type = new RegExp(`^# TYPE ${name} (\\S+)$`, "m").exec(text)?.[1] ?? "";
    const labels = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, "m").exec(text)?.[1] ?? "";
    const names = [...labels.matchAll(/(\w+)=/g)].map(([, label]) => label).filter((label) => label !== "le");
    found[name] = [type, names.sort().join(), help];
  }
  return found;
}

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const traffic = { nodeName: "node01", localTraffic: { kind: "none" } } as const;

/** iptables whose tables are empty, and that refuses the first input. */
function refusingOnce(): Iptables {
  let calls = 0;
  return {
    version: "iptables v1.8.9 (nf_tables)",
    save: async () => "",
    restore: async () => {
      if (++calls === 1) throw new Error("refused");
    },
    hasChain: async () => true,
    setSysctl: () => {},
  };
}

describe("V04 kube-proxy's metrics (part: every name of the reference)", () => {
  it("are there under upstream's names, types, labels and words, and no others begin like them", async () => {
    const metrics = new Metrics();
    const record = proxyMetrics(metrics, Date.now() - 1000);
    record.queued?.("endpoints", Date.now());
    record.syncing?.();
    for (const isFull of [true, false]) record.synced?.({ durationMs: 1, isFull, services: 1 });
    record.queued?.("endpoints", Date.now());
    record.syncing?.();
    record.synced?.({ durationMs: 1, isFull: false, services: 1 });
    record.cleaned?.({ 4: 1, 6: 0 }, 1);
    const pages = healthPages(new ProxyHealth(1000), metrics);
    for (const path of ["/healthz", "/livez"]) pages(path);
    nftablesBackend({ ...traffic, nft: new FakeNftables(), metrics });
    const backend = iptablesBackend({ ...traffic, iptables: refusingOnce(), metrics });
    backend.setNode(node);
    await backend.readBack();
    await expect(backend.commit()).rejects.toThrow("refused");
    await backend.commit();
    expect(shown(metrics)).toEqual(reference);
  });

  it("count rules of iptables: written by the last sync, and in all", async () => {
    const metrics = new Metrics();
    const iptables = { ...refusingOnce(), restore: async () => {} };
    const backend = iptablesBackend({ ...traffic, iptables, metrics });
    backend.setNode(node);
    const put = (name: string, endpoints: readonly string[]) => {
      const made = service(name, { clusterIP: name === "web" ? "10.96.0.1" : "10.96.0.2" });
      backend.setService(`shop/${name}`, serviceFrontends(made, [slice(name, endpoints)], node));
    };
    const counts = (which: string) =>
      new RegExp(`iptables_${which}\\{ip_family="IPv4",table="nat"\\} (\\d+)`).exec(metrics.text())?.[1];
    put("web", ["10.244.1.2"]);
    put("db", ["10.244.1.3", "10.244.1.4"]);
    await backend.readBack();
    await backend.commit();
    // KUBE-POSTROUTING 3, KUBE-MARK-MASQ 1; KUBE-SERVICES: two, and NodePorts at one address; web: 1 and 2 for its
    // endpoint; db: 2 and 4.
    expect([counts("last"), counts("total")]).toEqual(["16", "16"]);
    put("web", ["10.244.1.2", "10.244.1.5"]);
    await backend.commit();
    expect([counts("last"), counts("total")]).toEqual(["6", "19"]);
    backend.setService("shop/web", []);
    await backend.commit();
    expect([counts("last"), counts("total")]).toEqual(["2", "12"]);
  });
});
