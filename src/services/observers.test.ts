import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { serviceFrontends } from "./model/index.ts";
import { triggerTime } from "./observer.ts";
import { proxyMetrics } from "./proxyMetrics.ts";
import { syncLog } from "./syncLog.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const sync = { durationMs: 3, isFull: false, services: 1 };

describe("V04 kube-proxy's metrics (part: names, types, values)", () => {
  // Names, types and labels of the reference "Kubernetes Metrics Reference".
  it("counts changes that were seen, and those that wait", () => {
    const metrics = new Metrics();
    const record = proxyMetrics(metrics);
    record.queued?.("service");
    record.queued?.("endpoints");
    record.queued?.("endpoints");
    expect(metrics.text()).toContain("kubeproxy_sync_proxy_rules_endpoint_changes_pending 2\n");
    expect(metrics.text()).toContain("# TYPE kubeproxy_sync_proxy_rules_service_changes_total counter\n");
    record.syncing?.();
    record.queued?.("service");
    record.synced?.(sync);
    const text = metrics.text();
    expect(text).toContain("kubeproxy_sync_proxy_rules_endpoint_changes_total 2\n");
    expect(text).toContain("kubeproxy_sync_proxy_rules_endpoint_changes_pending 0\n");
    // It came while the pass ran.
    expect(text).toContain("kubeproxy_sync_proxy_rules_service_changes_pending 1\n");
    expect(text).toContain("kubeproxy_sync_proxy_rules_service_changes_total 2\n");
    expect(text).toContain('kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"} 1\n');
    expect(text).toContain('kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.004"} 1\n');
    expect(text).not.toContain("kubeproxy_sync_full_proxy_rules_duration_seconds_count{");
  });

  it("measures from the change of the pod, where the slice says when that was", () => {
    const metrics = new Metrics();
    const record = proxyMetrics(metrics, Date.UTC(2019));
    const changed = slice("web", ["10.244.1.2"]);
    expect(triggerTime(changed)).toBeUndefined();
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": "2020-01-01T00:00:00Z" };
    const at = triggerTime({ ...changed, metadata: { ...changed.metadata, annotations } });
    expect(at).toBe(Date.UTC(2020, 0, 1));
    record.queued?.("endpoints", at);
    // Before this proxy was there: as upstream's tracker (pkg/proxy/endpointschangetracker.go), it is left out.
    record.queued?.("endpoints", Date.UTC(2018));
    record.syncing?.();
    record.queued?.("endpoints", at);
    record.synced?.(sync);
    record.synced?.(sync);
    expect(metrics.text()).toContain('kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1\n');
    // Years ago: beyond the last bucket.
    expect(metrics.text()).toContain('duration_seconds_bucket{ip_family="IPv4",le="300"} 0\n');
  });

  it("counts ports whose policy is Local and that have no endpoint here", () => {
    const metrics = new Metrics();
    const record = proxyMetrics(metrics);
    const count = (policy: string) =>
      new RegExp(`no_local_endpoints_total\\{ip_family="IPv4",traffic_policy="${policy}"\\} (\\d+)`).exec(
        metrics.text(),
      )?.[1];
    const internal = service("web", { clusterIP: "10.96.0.1", internalTrafficPolicy: "Local" });
    const external = service("lb", { type: "NodePort", clusterIP: "10.96.0.2", externalTrafficPolicy: "Local" });
    const withPort = { ...external, spec: { ...external.spec, ports: [{ name: "http", port: 80, nodePort: 30_080 }] } };
    const away = (name: string) => [slice(name, [{ address: "10.244.2.2", nodeName: "node02" }])];
    const computed = (of: typeof internal, slices: ReturnType<typeof away>) =>
      record.computed?.(`shop/${of.metadata.name}`, { slices, frontends: serviceFrontends(of, slices, node) });
    expect([count("internal"), count("external")]).toEqual(["0", "0"]);
    computed(internal, away("web"));
    computed(withPort, away("lb"));
    expect([count("internal"), count("external")]).toEqual(["1", "1"]);
    computed(internal, [slice("web", ["10.244.1.2"])]);
    computed(withPort, []);
    expect([count("internal"), count("external")]).toEqual(["0", "0"]);
  });
});

describe("the log of syncs", () => {
  it("writes the first at once, and what follows within a second as one line", () => {
    const lines: string[] = [];
    const { observer, stop } = syncLog(createLogger("kube-proxy", { write: (line) => lines.push(line) }));
    observer.synced?.({ durationMs: 6.1, isFull: true, services: 4 });
    observer.synced?.(sync);
    observer.synced?.(sync);
    stop();
    expect(lines.map((line) => line.slice(line.indexOf("]") + 2))).toEqual([
      '"SyncProxyRules complete" elapsed="6.1ms" services=4 full=true\n',
      '"SyncProxyRules complete" elapsed="6ms" services=2 syncs=2\n',
    ]);
  });
});
