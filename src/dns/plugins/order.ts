import type { Setup } from "../core/index.ts";

/** A plugin that a Corefile may name. */
export interface PluginEntry {
  readonly name: string;
  /** Whether a server block may have several of it. */
  readonly repeatable?: true;
  /** Loads its code, so that a server pays only for the plugins that it uses. */
  readonly load: () => Promise<{ readonly setup: Setup }>;
}

/**
 * All plugins, in the order in which a request passes through them, whatever the order in the Corefile: CoreDNS' own
 * (plugin.cfg). Those that only watch (errors, log, prometheus) have no place in answering; it matters for
 *   loadbalance  before cache, so that a cached answer is shuffled anew each time,
 *   cache        before all that look something up,
 *   hosts        before kubernetes, so that an entry there wins,
 *   loop         before forward, so that its probe is seen when it comes back.
 */
export const pluginOrder: readonly PluginEntry[] = [
  { name: "reload", load: () => import("./reload/setup.ts") },
  { name: "ready", load: () => import("./ready/setup.ts") },
  { name: "health", load: () => import("./health/setup.ts") },
  { name: "prometheus", load: () => import("./prometheus/setup.ts") },
  { name: "multisocket", load: () => import("./multisocket/setup.ts") },
  { name: "errors", load: () => import("./errors/setup.ts") },
  { name: "log", repeatable: true, load: () => import("./log/setup.ts") },
  { name: "loadbalance", load: () => import("./loadbalance/setup.ts") },
  { name: "cache", load: () => import("./cache/setup.ts") },
  { name: "hosts", repeatable: true, load: () => import("./hosts/setup.ts") },
  { name: "kubernetes", load: () => import("./kubernetes/setup.ts") },
  { name: "loop", load: () => import("./loop/setup.ts") },
  { name: "forward", repeatable: true, load: () => import("./forward/setup.ts") },
  // Taken out of CoreDNS in 1.5 in favour of forward; older Corefiles still have it.
  { name: "proxy", repeatable: true, load: () => import("./forward/proxy.ts") },
];

/** CoreDNS' other plugins, so that their names can be refused with a better message than a misspelt one. */
export const foreignPlugins: ReadonlySet<string> = new Set(
  (
    "root metadata geoip cancel tls quic timeouts nsid bufsize bind debug trace pprof dnstap local dns64 " +
    "acl any chaos tsig rewrite header dnssec autopath minimal template transfer route53 azure clouddns k8s_external " +
    "file auto secondary etcd grpc grpc_server https https3 erratic whoami on sign view nomad federation"
  ).split(" "),
);
