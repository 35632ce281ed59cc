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
 * (plugin.cfg of 1.14). Those that only watch (errors, log, prometheus) have no place in answering; it matters for
 *   root         before all that read files,
 *   metadata     before all that ask for what is known about a request,
 *   loadbalance  before cache, so that a cached answer is shuffled anew each time,
 *   cache        before rewrite, so that it keeps what clients asked, and before all that look something up,
 *   autopath     before kubernetes and forward, which it asks for each name of a search path,
 *   hosts        before kubernetes, so that an entry there wins,
 *   loop         before forward, so that its probe is seen when it comes back.
 */
export const pluginOrder: readonly PluginEntry[] = [
  { name: "root", load: () => import("./root/setup.ts") },
  { name: "metadata", load: () => import("./metadata/setup.ts") },
  { name: "cancel", load: () => import("./cancel/setup.ts") },
  { name: "timeouts", load: () => import("./timeouts/setup.ts") },
  { name: "multisocket", load: () => import("./multisocket/setup.ts") },
  { name: "reload", load: () => import("./reload/setup.ts") },
  { name: "nsid", load: () => import("./nsid/setup.ts") },
  { name: "bufsize", load: () => import("./bufsize/setup.ts") },
  { name: "bind", repeatable: true, load: () => import("./bind/setup.ts") },
  { name: "debug", load: () => import("./debug/setup.ts") },
  { name: "ready", load: () => import("./ready/setup.ts") },
  { name: "health", load: () => import("./health/setup.ts") },
  { name: "prometheus", load: () => import("./prometheus/setup.ts") },
  { name: "errors", load: () => import("./errors/setup.ts") },
  { name: "log", repeatable: true, load: () => import("./log/setup.ts") },
  { name: "local", load: () => import("./local/setup.ts") },
  { name: "acl", repeatable: true, load: () => import("./acl/setup.ts") },
  { name: "any", load: () => import("./any/setup.ts") },
  { name: "chaos", load: () => import("./chaos/setup.ts") },
  { name: "loadbalance", load: () => import("./loadbalance/setup.ts") },
  { name: "cache", load: () => import("./cache/setup.ts") },
  { name: "rewrite", repeatable: true, load: () => import("./rewrite/setup.ts") },
  { name: "header", load: () => import("./header/setup.ts") },
  { name: "autopath", load: () => import("./autopath/setup.ts") },
  { name: "minimal", load: () => import("./minimal/setup.ts") },
  { name: "template", repeatable: true, load: () => import("./template/setup.ts") },
  { name: "hosts", repeatable: true, load: () => import("./hosts/setup.ts") },
  { name: "k8s_external", load: () => import("./k8s_external/setup.ts") },
  { name: "kubernetes", load: () => import("./kubernetes/setup.ts") },
  { name: "file", repeatable: true, load: () => import("./file/setup.ts") },
  { name: "auto", load: () => import("./auto/setup.ts") },
  { name: "loop", load: () => import("./loop/setup.ts") },
  { name: "forward", repeatable: true, load: () => import("./forward/setup.ts") },
  // Taken out of CoreDNS in 1.5 in favour of forward; older Corefiles still have it.
  { name: "proxy", repeatable: true, load: () => import("./forward/proxy.ts") },
  { name: "whoami", load: () => import("./whoami/setup.ts") },
];

/** CoreDNS' other plugins, so that their names can be refused with a better message than a misspelt one. */
export const foreignPlugins: ReadonlySet<string> = new Set(
  (
    "geoip tls quic trace pprof dnstap dns64 tsig dnssec transfer route53 azure clouddns secondary etcd " +
    "grpc grpc_server https https3 erratic on sign view nomad federation"
  ).split(" "),
);
