import type { Gauge, Histogram, Metrics } from "#base/metrics.ts";
import type { Frontend } from "./model/index.ts";
import type { ChangedKind, ProxyObserver, Sync } from "./observer.ts";

const FAMILIES = ["IPv4", "IPv6"] as const;

/** So many changes are remembered while no sync succeeds. */
const MAX_TRIGGERS = 10_000;

/** From `first`, each twice the one before. In s. */
const doubling = (first: number): number[] => Array.from({ length: 15 }, (_, i) => first * 2 ** i);
const steps = (start: number, step: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => start + step * i);

/** The metrics themselves, under kube-proxy's names (pkg/proxy/metrics). */
function proxyFamilies(metrics: Metrics) {
  const rules = "kubeproxy_sync_proxy_rules";
  const changes = (kind: string, word: string) => ({
    total: metrics.counter(`${rules}_${kind}_changes_total`, `Cumulative proxy rules ${word} changes`),
    pending: metrics.gauge(`${rules}_${kind}_changes_pending`, `Pending proxy rules ${word} changes`),
  });
  const latency = (name: string, help: string) => metrics.histogram(name, help, doubling(0.001));
  return {
    duration: latency(`${rules}_duration_seconds`, "SyncProxyRules latency in seconds"),
    full: latency(
      "kubeproxy_sync_full_proxy_rules_duration_seconds",
      "SyncProxyRules latency in seconds for full resyncs",
    ),
    partial: latency(
      "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      "SyncProxyRules latency in seconds for partial resyncs",
    ),
    programming: metrics.histogram(
      "kubeproxy_network_programming_duration_seconds",
      "In Cluster Network Programming Latency in seconds",
      [0, ...steps(0.25, 0.25, 2), ...steps(1, 1, 59), ...steps(60, 5, 12), ...steps(120, 30, 7)],
    ),
    lastSync: metrics.gauge(`${rules}_last_timestamp_seconds`, "The last time proxy rules were successfully synced"),
    lastQueued: metrics.gauge(
      `${rules}_last_queued_timestamp_seconds`,
      "The last time a sync of proxy rules was queued",
    ),
    service: changes("service", "Service"),
    endpoints: changes("endpoint", "Endpoint"),
    noLocal: metrics.gauge(
      `${rules}_no_local_endpoints_total`,
      "Number of services with a Local traffic policy and no endpoints",
    ),
    cleaned: metrics.counter(
      "kubeproxy_conntrack_reconciler_deleted_entries_total",
      "Cumulative conntrack flows deleted by conntrack reconciler",
    ),
    cleaning: latency(
      "kubeproxy_conntrack_reconciler_sync_duration_seconds",
      "ReconcileConntrackFlowsLatency latency in seconds",
    ),
  };
}

/** One transaction holds the rules of both families: it is the sync of each. */
const observe = (histogram: Histogram, seconds: number): void => {
  for (const family of FAMILIES) histogram.observe(seconds, { ip_family: family });
};
const set = (gauge: Gauge, value: number): void => {
  for (const family of FAMILIES) gauge.set(value, { ip_family: family });
};

/**
 * Writes a service proxy's metrics. Times in s.
 * @param startedAt in ms since 1970: what was triggered before is not this proxy's latency, as upstream's tracker has it
 */
export function proxyMetrics(metrics: Metrics, startedAt: number = Date.now()): ProxyObserver {
  const families = proxyFamilies(metrics);
  const pending: Record<ChangedKind, number> = { service: 0, endpoints: 0 };
  const noLocal = noLocalEndpoints(families.noLocal);
  let triggers: number[] = [];
  /** Of the pass that is under way, and of those before it that failed. */
  let taken: number[] = [];
  return {
    queued(kind, at) {
      families[kind].total.inc();
      families[kind].pending.set(++pending[kind]);
      set(families.lastQueued, Date.now() / 1000);
      if (at !== undefined && at > startedAt && triggers.length < MAX_TRIGGERS) triggers.push(at);
    },
    syncing() {
      taken = [...taken, ...triggers].slice(0, MAX_TRIGGERS);
      triggers = [];
      for (const kind of ["service", "endpoints"] as const) families[kind].pending.set((pending[kind] = 0));
    },
    computed: (service, { frontends }) => noLocal(service, frontends),
    synced({ durationMs, isFull }: Sync) {
      const seconds = durationMs / 1000;
      observe(families.duration, seconds);
      observe(isFull ? families.full : families.partial, seconds);
      const now = Date.now();
      // The clock that wrote the trigger may be another machine's.
      for (const at of taken) observe(families.programming, Math.max(0, now - at) / 1000);
      taken = [];
      set(families.lastSync, now / 1000);
    },
    cleaned(flows, durationMs) {
      observe(families.cleaning, durationMs / 1000);
      families.cleaned.inc({ ip_family: "IPv4" }, flows[4]);
      families.cleaned.inc({ ip_family: "IPv6" }, flows[6]);
    },
  };
}

/** Counts ports of Services, by family and policy, whose policy is Local and that have endpoints, but none here. */
function noLocalEndpoints(gauge: Gauge): (service: string, frontends: readonly Frontend[]) => void {
  const counted = new Map<string, ReadonlySet<string>>();
  const counts = new Map<string, number>();
  const add = (entry: string, by: number): void => {
    const [family = "", policy = ""] = entry.split(" ");
    const count = (counts.get(`${family} ${policy}`) ?? 0) + by;
    counts.set(`${family} ${policy}`, count);
    gauge.set(count, { ip_family: family, traffic_policy: policy });
  };
  for (const family of FAMILIES) for (const policy of ["internal", "external"]) add(`${family} ${policy}`, 0);
  return (service, frontends) => {
    const now = new Set(
      frontends.flatMap(({ action, ip, label }) => {
        const family = ip.family === 4 ? "IPv4" : "IPv6";
        if (action.kind === "drop") return [`${family} internal ${label}`];
        return action.kind === "balance-local" && action.local.length === 0 ? [`${family} external ${label}`] : [];
      }),
    );
    for (const entry of counted.get(service) ?? []) add(entry, -1);
    for (const entry of now) add(entry, 1);
    if (now.size) counted.set(service, now);
    else counted.delete(service);
  };
}
