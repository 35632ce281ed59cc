import type { Metrics } from "#base/metrics.ts";

/** The metrics themselves, under kube-proxy's names (pkg/proxy/metrics). */
function proxyFamilies(metrics: Metrics) {
  const buckets = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);
  return {
    duration: metrics.histogram(
      "kubeproxy_sync_proxy_rules_duration_seconds",
      "SyncProxyRules latency in seconds",
      buckets,
    ),
    full: metrics.histogram(
      "kubeproxy_sync_full_proxy_rules_duration_seconds",
      "SyncProxyRules latency in seconds for full resyncs",
      buckets,
    ),
    partial: metrics.histogram(
      "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      "SyncProxyRules latency in seconds for partial resyncs",
      buckets,
    ),
    programming: metrics.histogram(
      "kubeproxy_network_programming_duration_seconds",
      "In cluster network programming latency in seconds",
      buckets,
    ),
    lastSync: metrics.gauge(
      "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "The last time proxy rules were successfully synced",
    ),
    lastQueued: metrics.gauge(
      "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "The last time a sync of proxy rules was queued",
    ),
    cleaned: metrics.counter(
      "kubeproxy_conntrack_reconciler_deleted_entries_total",
      "Cumulative conntrack flows deleted by conntrack reconciler",
    ),
  };
}

/** The service proxy's metrics. Times in s. */
export function proxyMetrics(metrics: Metrics) {
  const families = proxyFamilies(metrics);
  let queuedAt: number | undefined;
  return {
    /** An object changed. */
    changed(): void {
      queuedAt ??= performance.now();
      families.lastQueued.set(Date.now() / 1000);
    },
    /** Rules were changed; `started` in ms of performance.now(). */
    synced(started: number, isFull: boolean): void {
      const now = performance.now();
      families.duration.observe((now - started) / 1000);
      (isFull ? families.full : families.partial).observe((now - started) / 1000);
      if (queuedAt !== undefined) families.programming.observe((now - queuedAt) / 1000);
      queuedAt = undefined;
      families.lastSync.set(Date.now() / 1000);
    },
    cleaned(flows: number): void {
      families.cleaned.inc({}, flows);
    },
  };
}
