/** What kube-proxy serves: its health, its metrics, and the health checks of Services. */
export { type HealthAnswer, ProxyHealth } from "./health.ts";
export { type Answer, type Answering, keepListening } from "./listener.ts";
export { healthPages, metricsPages } from "./pages.ts";
export { ServiceHealthServers } from "./serviceHealth.ts";
