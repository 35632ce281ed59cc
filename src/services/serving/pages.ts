import { kubernetesVersion } from "#api/index.ts";
import type { Metrics } from "#base/metrics.ts";
import { configObject, type ProxyConfig } from "../config/index.ts";
import type { ProxyHealth } from "./health.ts";
import type { Answering } from "./listener.ts";

/** The group under which /configz shows the configuration. */
const CONFIGZ = "kubeproxy.config.k8s.io";

/** The pages of the health port: /healthz and /livez. */
export function healthPages(health: ProxyHealth, metrics: Metrics): Answering {
  const counters = {
    "/healthz": metrics.counter("kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status"),
    "/livez": metrics.counter("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status"),
  };
  return (path) => {
    if (path !== "/healthz" && path !== "/livez") return undefined;
    const { code, body } = health.answer(path);
    counters[path].inc({ code: String(code) });
    return { code, type: "application/json", body: JSON.stringify(body) };
  };
}

/** The pages of the metrics port: /metrics, /proxyMode, /healthz, /configz. */
export function metricsPages(metrics: Metrics, config: ProxyConfig, mode: string): Answering {
  const refresh = processMetrics(metrics);
  return (path) => {
    switch (path) {
      case "/metrics":
        refresh();
        return { code: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: metrics.text() };
      case "/proxyMode":
        return { code: 200, body: mode };
      case "/healthz":
        return { code: 200, body: "ok" };
      case "/configz":
        return { code: 200, type: "application/json", body: `${JSON.stringify({ [CONFIGZ]: configObject(config) })}` };
      default:
        return undefined;
    }
  };
}

/** What every program of upstream says of itself. @returns brings it up to date */
function processMetrics(metrics: Metrics): () => void {
  const [major = "", minor = ""] = kubernetesVersion.replace(/^v/, "").split(".");
  const labels = { git_version: kubernetesVersion, major, minor };
  const build = "A metric with a constant '1' value labeled by the version whose behaviour is followed.";
  metrics.gauge("kubernetes_build_info", build).set(1, labels);
  metrics
    .gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
    .set(Math.floor(Date.now() / 1000 - process.uptime()));
  const memory = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  const cpu = metrics.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
  let counted = 0;
  return () => {
    memory.set(process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    cpu.inc({}, (user + system) / 1e6 - counted);
    counted = (user + system) / 1e6;
  };
}
