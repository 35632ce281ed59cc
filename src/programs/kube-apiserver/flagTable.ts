import { admissionPlugins } from "#apiserver/index.ts";

/** What a flag takes. `list` may be repeated and split by commas, `files` be repeated. */
export type FlagType = "string" | "bool" | "port" | "seconds" | "list" | "files" | "number";

/** A flag with an effect. */
export interface FlagRule {
  readonly type: FlagType;
  /** What its value is called in the help. */
  readonly value?: string;
  readonly help: string;
}

/** Flags by section, in the order of the help. Names and meanings are kube-apiserver's where nothing else is said. */
export const sections: Readonly<Record<string, Readonly<Record<string, FlagRule>>>> = {
  Serving: {
    "secure-port": { type: "port", value: "port", help: "port to listen on. Default 6443." },
    "bind-address": {
      type: "string",
      value: "ip",
      help: "address to listen on. Default 0.0.0.0 with --advertise-address, else 127.0.0.1.",
    },
    "advertise-address": {
      type: "string",
      value: "ip",
      help: "address under which members of the cluster reach this server. Default: the bind address, or the first of this machine's where that is a loopback address or none.",
    },
    "cert-dir": {
      type: "string",
      value: "folder",
      help: "where certificates, keys and admin.conf are made that no flag names. Default DATA-DIR/pki, else $XDG_STATE_HOME/podwire-apiserver.",
    },
    "tls-cert-file": { type: "string", value: "file", help: "serving certificate, with its chain" },
    "tls-private-key-file": { type: "string", value: "file", help: "its key" },
    "tls-min-version": {
      type: "string",
      value: "version",
      help: "the lowest that clients may choose: VersionTLS12 or VersionTLS13. Default VersionTLS12.",
    },
    "tls-cipher-suites": {
      type: "list",
      value: "names",
      help: "suites of TLS 1.2 by Go's names; those of TLS 1.3 are always offered. Default: the TLS library's.",
    },
    "listen-fd": {
      type: "list",
      value: "n",
      help: "descriptor of a listening socket that was handed over; may be repeated (podwire's own)",
    },
  },
  Authentication: {
    "client-ca-file": { type: "string", value: "file", help: "authorities of client certificates" },
    "token-auth-file": {
      type: "string",
      value: "file",
      help: 'static tokens: lines of token,user,uid,"group1,group2"',
    },
    "enable-bootstrap-token-auth": { type: "bool", help: "Secrets of type bootstrap.kubernetes.io/token count" },
    "anonymous-auth": {
      type: "bool",
      help: "requests without credentials are of system:anonymous, whom RBAC lets see health and version alone. Default true; false refuses them with 401.",
    },
    "authentication-config": {
      type: "string",
      value: "file",
      help: "AuthenticationConfiguration; of it, `anonymous` with its conditions has effect",
    },
    "service-account-issuer": {
      type: "list",
      value: "url",
      help: "issuer of ServiceAccount tokens; of several, the first issues and all count. Default https://kubernetes.default.svc.cluster.local",
    },
    "service-account-signing-key-file": { type: "string", value: "file", help: "private key that signs tokens" },
    "service-account-key-file": {
      type: "files",
      value: "file",
      help: "keys that verify tokens, beside the signing key; may be repeated",
    },
    "service-account-jwks-uri": { type: "string", value: "url", help: "where clients are told to get the keys" },
    "service-account-max-token-expiration": {
      type: "seconds",
      value: "duration",
      help: "longest life of a token, such as 24h",
    },
    "service-account-extend-token-expiration": {
      type: "bool",
      help: "tokens that agents ask for by default live a year, with a warning. Default true.",
    },
    "api-audiences": { type: "list", value: "names", help: "audiences of this API. Default: the issuers." },
  },
  Authorization: {
    "authorization-mode": {
      type: "list",
      value: "modes",
      help: "Node, RBAC, AlwaysAllow, AlwaysDeny, asked in this order. Default Node,RBAC (upstream: AlwaysAllow).",
    },
  },
  Admission: {
    "enable-admission-plugins": {
      type: "list",
      value: "names",
      help: `plugins that have to be there and on; a start without one is refused. All of these are on where nothing is said: ${admissionPlugins.join(", ")}.`,
    },
    "disable-admission-plugins": {
      type: "list",
      value: "names",
      help: "plugins that are off",
    },
  },
  Nodes: {
    "kubelet-client-certificate": { type: "string", value: "file", help: "certificate shown to node agents" },
    "kubelet-client-key": { type: "string", value: "file", help: "its key" },
    "kubelet-certificate-authority": {
      type: "string",
      value: "file",
      help: "authority of the agents' certificates. Default --client-ca-file.",
    },
  },
  Cluster: {
    "service-cluster-ip-range": {
      type: "list",
      value: "cidrs",
      help: "addresses of Services; two for dual stack. Default 10.96.0.0/12.",
    },
    "service-node-port-range": { type: "string", value: "range", help: "NodePorts. Default 30000-32767." },
    "cluster-cidr": {
      type: "list",
      value: "cidrs",
      help: "addresses of pods (kube-controller-manager's). Default 10.244.0.0/16.",
    },
    "node-cidr-mask-size": {
      type: "number",
      value: "n",
      help: "prefix length of a node's part of --cluster-cidr, where that is one range (kube-controller-manager's). Default 24, of IPv6 64.",
    },
    "node-cidr-mask-size-ipv4": { type: "number", value: "n", help: "the same of the IPv4 range. Default 24." },
    "node-cidr-mask-size-ipv6": { type: "number", value: "n", help: "the same of the IPv6 range. Default 64." },
    controllers: {
      type: "string",
      value: "list",
      help: "* runs the controllers and the scheduler in this process, none runs the API alone. Default *.",
    },
    "node-order": {
      type: "list",
      value: "names",
      help: "nodes whose position is the number of their pod subnet (podwire's own)",
    },
  },
  Storage: {
    "data-dir": {
      type: "string",
      value: "folder",
      help: "keeps the objects there (podwire's own, in etcd's place). Default: in memory, gone with the process.",
    },
    durability: {
      type: "string",
      value: "kind",
      help: "disk: what is acknowledged survives a power failure. process: it survives the killed process. Default disk. (podwire's own)",
    },
    "event-ttl": { type: "seconds", value: "duration", help: "how long Events are kept. Default 1h." },
  },
  Logs: {
    v: { type: "number", value: "n", help: "number of the log level: from 4 on, details" },
    "log-dir": {
      type: "string",
      value: "folder",
      help: "logs of this server, the controllers and the scheduler, a file each. Default: all to standard error.",
    },
  },
};

/** Flags of kube-apiserver that are taken and change nothing, each with the reason that a start logs. */
export const withoutEffect: Readonly<Record<string, string>> = {
  "allow-privileged": "pods decide",
  "enable-aggregator-routing": "there is no aggregation of other API servers",
  "proxy-client-cert-file": "there is no aggregation of other API servers",
  "proxy-client-key-file": "there is no aggregation of other API servers",
  "requestheader-allowed-names": "no front proxy is trusted",
  "requestheader-client-ca-file": "no front proxy is trusted",
  "requestheader-extra-headers-prefix": "no front proxy is trusted",
  "requestheader-group-headers": "no front proxy is trusted",
  "requestheader-username-headers": "no front proxy is trusted",
  "kubelet-preferred-address-types": "a node's InternalIP is used",
  "kubelet-timeout": "connections to agents have their own limits",
  "max-requests-inflight": "requests are taken one after the other",
  "max-mutating-requests-inflight": "requests are taken one after the other",
  "enable-priority-and-fairness": "requests are taken one after the other",
  "min-request-timeout": "a watch without timeoutSeconds ends after 30 to 60 minutes",
  "request-timeout": "a request's body has 60 s to arrive, and no ordinary request waits for anything else",
  "default-watch-cache-size": "every object is in memory",
  "watch-cache": "every object is in memory",
  "feature-gates": "features are those of 1.36 that are there",
  "runtime-config": "every API that is there is served",
  "emulated-version": "the version is 1.36",
  profiling: "there is none",
  "contention-profiling": "there is none",
  "shutdown-delay-duration": "a stop ends at once",
  "apiserver-count": "there is one",
  "endpoint-reconciler-type": "there is one server",
  "logging-format": "the log is klog's text",
  vmodule: "the log has one level for all",
  "external-hostname": "the advertised address is used",
  "storage-backend": "the store is --data-dir's",
  "storage-media-type": "the store keeps JSON",
};

/** Flags of kube-apiserver whose effect is missing: to take them would be to pretend. */
export const refused: Readonly<Record<string, string>> = {
  "etcd-servers": "etcd as the store is not there yet; this server keeps its objects in --data-dir",
  "etcd-cafile": "etcd as the store is not there yet",
  "etcd-certfile": "etcd as the store is not there yet",
  "etcd-keyfile": "etcd as the store is not there yet",
  "etcd-prefix": "etcd as the store is not there yet",
  "authorization-config": "authorization by webhook is not there; use --authorization-mode",
  "authorization-webhook-config-file": "authorization by webhook is not there",
  "authorization-policy-file": "attribute-based access control is not there; use RBAC",
  "authentication-token-webhook-config-file": "authentication by webhook is not there",
  "oidc-issuer-url": "authentication by OpenID Connect is not there",
  "oidc-client-id": "authentication by OpenID Connect is not there",
  "encryption-provider-config": "objects are kept as they are: encryption at rest is not there",
  "audit-log-path": "audit logs are not there",
  "audit-policy-file": "audit logs are not there",
  "audit-webhook-config-file": "audit logs are not there",
  "admission-control-config-file": "admission plugins have no configuration",
  "egress-selector-config-file": "connections to nodes are direct",
  "tls-sni-cert-key": "one serving certificate is all there is",
  "service-account-signing-endpoint": "tokens are signed by a key file",
};
