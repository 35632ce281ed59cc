import type { FieldPath } from "#services/index.ts";

/** A flag that stands for fields of the configuration; its type is theirs. */
export interface FieldFlag {
  readonly fields: readonly FieldPath[];
  readonly value?: string;
  readonly help: string;
}

const flag = (help: string, value: string | undefined, ...fields: FieldPath[]): FieldFlag => ({
  fields,
  help,
  ...(value === undefined ? {} : { value }),
});

/** Flags by section, in the order of the help. Names and meanings are kube-proxy's of Kubernetes 1.36; of 1.25 --udp-timeout. */
export const sections: Readonly<Record<string, Readonly<Record<string, FieldFlag>>>> = {
  "The API": {
    kubeconfig: flag("kubeconfig of this program", "file", "clientConnection.kubeconfig"),
    "kube-api-burst": flag("burst of requests", "n", "clientConnection.burst"),
    "kube-api-content-type": flag("content type of requests", "type", "clientConnection.contentType"),
    "kube-api-qps": flag("requests a second", "n", "clientConnection.qps"),
    "config-sync-period": flag(
      "no effect: changes are watched, and nothing is refreshed by the clock",
      "duration",
      "configSyncPeriod",
    ),
  },
  Mode: {
    "proxy-mode": flag(
      "how packets are moved. Default nftables (upstream: iptables). userspace relays them by this process, as the first kube-proxy did: it is here to learn from. ebpf translates where sockets connect, and needs root of the machine.",
      "mode",
      "mode",
    ),
    "iptables-sync-period": flag(
      "how often rules are read and put right, in every mode but ipvs. Default 30s.",
      "duration",
      "iptables.syncPeriod",
      "nftables.syncPeriod",
    ),
    "iptables-min-sync-period": flag(
      "least time between two changes of the rules, in every mode but ipvs. Default 1s; nftables 10ms.",
      "duration",
      "iptables.minSyncPeriod",
      "nftables.minSyncPeriod",
    ),
    "iptables-masquerade-bit": flag(
      "bit of the packet mark for what is to be masqueraded, 0 to 31. Default 14.",
      "n",
      "iptables.masqueradeBit",
    ),
    "iptables-localhost-nodeports": flag(
      "NodePorts answer at 127.0.0.1 too, in the iptables mode. Default true.",
      undefined,
      "iptables.localhostNodePorts",
    ),
    "masquerade-all": flag(
      "masquerade all traffic to cluster IPs",
      undefined,
      "iptables.masqueradeAll",
      "nftables.masqueradeAll",
    ),
    "ipvs-sync-period": flag("as --iptables-sync-period, for ipvs", "duration", "ipvs.syncPeriod"),
    "ipvs-min-sync-period": flag("as --iptables-min-sync-period, for ipvs", "duration", "ipvs.minSyncPeriod"),
    "ipvs-scheduler": flag("scheduler of the ipvs mode", "name", "ipvs.scheduler"),
    "ipvs-exclude-cidrs": flag("what the ipvs mode leaves alone when it cleans up", "cidrs", "ipvs.excludeCIDRs"),
    "ipvs-strict-arp": flag("arp_ignore 1 and arp_announce 2, for ipvs", undefined, "ipvs.strictARP"),
    "ipvs-tcp-timeout": flag("time-out of idle connections, for ipvs", "duration", "ipvs.tcpTimeout"),
    "ipvs-tcpfin-timeout": flag("the same after a FIN", "duration", "ipvs.tcpFinTimeout"),
    "ipvs-udp-timeout": flag("the same of UDP", "duration", "ipvs.udpTimeout"),
    "udp-timeout": flag(
      "how long a UDP client is remembered that sends and gets nothing, in the userspace mode. Default 250ms.",
      "duration",
      "udpIdleTimeout",
    ),
    "proxy-port-range": flag(
      "ports of the userspace mode: begin-end, begin+offset or one port. Default: the kernel chooses.",
      "range",
      "portRange",
    ),
    "feature-gates": flag("features to switch, name=true,…", "gates", "featureGates"),
  },
  "Traffic and addresses": {
    "detect-local-mode": flag(
      "how pods' traffic is known: ClusterCIDR (default), NodeCIDR, BridgeInterface or InterfaceNamePrefix",
      "mode",
      "detectLocalMode",
    ),
    "cluster-cidr": flag("addresses of pods, for ClusterCIDR; two for dual stack", "cidrs", "clusterCIDR"),
    "pod-bridge-interface": flag("bridge of pods, for BridgeInterface", "name", "detectLocal.bridgeInterface"),
    "pod-interface-name-prefix": flag(
      "how names of pods' interfaces begin, for InterfaceNamePrefix",
      "text",
      "detectLocal.interfaceNamePrefix",
    ),
    "nodeport-addresses": flag(
      "where NodePorts answer: CIDRs, or the word primary. Default: primary in the nftables mode, else everywhere.",
      "cidrs",
      "nodePortAddresses",
    ),
    "bind-address": flag(
      "the node's primary address, where its object does not say the right one. No socket is bound to it, but where it is given, health is served at all addresses of its family.",
      "ip",
      "bindAddress",
    ),
  },
  Ports: {
    "healthz-bind-address": flag(
      "where health is served. Default 127.0.0.1:10256 (upstream: 0.0.0.0:10256); empty: nowhere.",
      "ip:port",
      "healthzBindAddress",
    ),
    "metrics-bind-address": flag(
      "where metrics are served. Default 127.0.0.1:10249; empty: nowhere.",
      "ip:port",
      "metricsBindAddress",
    ),
    "bind-address-hard-fail": flag("end when a port cannot be had", undefined, "bindAddressHardFail"),
    profiling: flag("serve profiles", undefined, "enableProfiling"),
    "show-hidden-metrics-for-version": flag("show hidden metrics", "version", "showHiddenMetricsForVersion"),
  },
  "The node": {
    "conntrack-max-per-core": flag(
      "connections tracked per core; 0: leave the limit as it is. Default 32768.",
      "n",
      "conntrack.maxPerCore",
    ),
    "conntrack-min": flag("the least of the limit. Default 131072.", "n", "conntrack.min"),
    "conntrack-tcp-timeout-established": flag(
      "how long an idle connection is remembered. Default 24h.",
      "duration",
      "conntrack.tcpEstablishedTimeout",
    ),
    "conntrack-tcp-timeout-close-wait": flag(
      "the same in CLOSE_WAIT. Default 1h.",
      "duration",
      "conntrack.tcpCloseWaitTimeout",
    ),
    "conntrack-tcp-be-liberal": flag("let packets outside of the window pass", undefined, "conntrack.tcpBeLiberal"),
    "conntrack-udp-timeout": flag("idle UDP without an answer", "duration", "conntrack.udpTimeout"),
    "conntrack-udp-timeout-stream": flag("idle UDP with answers", "duration", "conntrack.udpStreamTimeout"),
    "oom-score-adj": flag("oom_score_adj of this process. Default -999.", "n", "oomScoreAdj"),
  },
  Logs: {
    v: flag(
      "verbosity of the log; 4 and more also says what is left out. Wins over the file.",
      "n",
      "logging.verbosity",
    ),
    "logging-format": flag("text, and nothing else", "format", "logging.format"),
  },
};

/** Flags of this program itself, beside the configuration. */
export const ownFlags: Readonly<Record<string, { readonly value?: string; readonly help: string }>> = {
  config: { value: "file", help: "KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1). It wins over the flags." },
  "write-config-to": { value: "file", help: "write the configuration that the flags make to this file, and end" },
  cleanup: { help: "remove the rules of all modes, and end" },
  "init-only": { help: "set what needs full privileges (connection tracking), and end" },
  master: { value: "url", help: "the API server; wins over the kubeconfig's" },
  "hostname-override": { value: "name", help: "name of the node. Default: the host's. Wins over the file." },
  "healthz-port": { value: "n", help: "deprecated: 0 serves no health" },
  "metrics-port": { value: "n", help: "deprecated: 0 serves no metrics" },
};

const glog = "each line is written at once, to standard error";

/** Flags that are accepted and change nothing, with the reason. */
export const withoutEffect: Readonly<Record<string, string>> = {
  "log-flush-frequency": glog,
  "log-json-info-buffer-size": glog,
  "log-json-split-stream": glog,
  "log-text-info-buffer-size": glog,
  "log-text-split-stream": glog,
  vmodule: "the verbosity is one for the whole program",
  "boot-id-file": "nothing here reads it",
  "machine-id-file": "nothing here reads it",
};
