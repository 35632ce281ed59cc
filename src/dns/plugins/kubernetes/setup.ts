import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { resolve } from "node:path";
import type { Client } from "#api/index.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";
import { type Fallthrough, noFallthrough, readFallthrough, type Setup, type SetupContext } from "../../core/index.ts";
import {
  args,
  CorefileError,
  type Directive,
  integer,
  oneArg,
  readProperties,
  zonesOrDefault,
} from "../../corefile/index.ts";
import { ClusterIndex } from "./clusterIndex.ts";
import { KubernetesPlugin } from "./handler.ts";
import { ClusterRecords, isReverseZone } from "./model.ts";
import type { PodMode } from "./options.ts";
import { ApiSource } from "./source.ts";

/** What a kubernetes directive says. */
interface KubernetesOptions {
  ttl: number;
  podMode: PodMode;
  endpointPodNames: boolean;
  endpoints: boolean;
  ignoreEmptyService: boolean;
  namespaces?: ReadonlySet<string>;
  labelSelector?: string;
  namespaceSelector?: string;
  fallthrough: Fallthrough;
  server?: string;
  tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  kubeconfig?: { readonly file: string; readonly context?: string };
}

/** `kubernetes [ZONES...] { … }`: answers for the cluster, by DNS-based service discovery 1.1.0. */
export const setup: Setup = (directive, context) => {
  const zones = zonesOrDefault(directive.args, context.zones);
  const primaryZone = zones.find((zone) => !isReverseZone(zone));
  if (primaryZone === undefined) {
    throw new CorefileError(
      directive.at,
      "kubernetes with reverse zones alone; expected a zone such as cluster.local as well",
    );
  }
  const options = readOptions(directive, context);
  const index = new ClusterIndex();
  const { ttl, podMode, endpointPodNames, ignoreEmptyService, namespaces, labelSelector, namespaceSelector } = options;
  const records = new ClusterRecords(
    index,
    {
      primaryZone,
      ttl,
      podMode,
      endpointPodNames,
      ignoreEmptyService,
      ...(namespaces && { namespaces }),
    },
    ownAddresses(),
  );
  const source = new ApiSource(
    {
      connect: () => connect(options, context),
      pods: podMode === "verified",
      endpoints: options.endpoints,
      ...(labelSelector !== undefined && { labelSelector }),
      ...(namespaceSelector !== undefined && { namespaceSelector }),
    },
    index,
    context.log,
  );
  return new KubernetesPlugin({
    zones,
    fallthrough: options.fallthrough,
    records,
    source,
    instance: context.instance,
  });
};

function readOptions(directive: Directive, { log, directory }: SetupContext): KubernetesOptions {
  const options: KubernetesOptions = {
    ttl: 5,
    podMode: "disabled",
    endpointPodNames: false,
    endpoints: true,
    ignoreEmptyService: false,
    fallthrough: noFallthrough,
  };
  const deprecated = (property: Directive) => {
    const { file, line } = property.at;
    log.warn(`${file}:${line}: ${property.name} of kubernetes is deprecated and has no effect`);
  };
  readProperties(directive, {
    pods: (property) => {
      options.podMode = podModeOf(oneArg(property, "pods disabled|insecure|verified"), property);
    },
    ttl: (property) => {
      options.ttl = integer(oneArg(property, "ttl SECONDS"), property.at, "ttl", 0, 3600);
    },
    fallthrough: (property) => {
      options.fallthrough = readFallthrough(property);
    },
    endpoint_pod_names: (property) => {
      args(property, "endpoint_pod_names", 0);
      options.endpointPodNames = true;
    },
    noendpoints: (property) => {
      args(property, "noendpoints", 0);
      options.endpoints = false;
    },
    ignore: (property) => {
      const what = oneArg(property, "ignore empty_service");
      if (what !== "empty_service") throw new CorefileError(property.at, `ignore ${what}; allowed: empty_service`);
      options.ignoreEmptyService = true;
    },
    namespaces: (property) => {
      options.namespaces = new Set(args(property, "namespaces NAMESPACE...", 1, 10_000));
    },
    labels: (property) => {
      options.labelSelector = args(property, "labels EXPRESSION", 1, 100).join(" ");
    },
    namespace_labels: (property) => {
      options.namespaceSelector = args(property, "namespace_labels EXPRESSION", 1, 100).join(" ");
    },
    endpoint: (property) => {
      options.server = oneArg(property, "endpoint URL");
    },
    tls: (property) => {
      const [cert, key, ca] = args(property, "tls CERT KEY CACERT", 3).map((file) => resolve(directory, file)) as [
        string,
        string,
        string,
      ];
      options.tls = { cert, key, ca };
    },
    kubeconfig: (property) => {
      const [file, name] = args(property, "kubeconfig KUBECONFIG [CONTEXT]", 1, 2) as [string, string?];
      options.kubeconfig = {
        file: resolve(directory, file),
        ...(name !== undefined && { context: name }),
      };
    },
    startup_timeout: (property) => void args(property, "startup_timeout DURATION", 1),
    apiserver_qps: (property) => void args(property, "apiserver_qps QPS", 1),
    apiserver_burst: (property) => void args(property, "apiserver_burst BURST", 1),
    apiserver_max_inflight: (property) => void args(property, "apiserver_max_inflight MAX", 1),
    upstream: deprecated,
    resyncperiod: deprecated,
    transfer: deprecated,
  });
  if (options.namespaces && options.namespaceSelector !== undefined) {
    throw new CorefileError(directive.at, "namespaces and namespace_labels exclude each other");
  }
  return options;
}

function podModeOf(text: string, property: Directive): PodMode {
  if (text === "disabled" || text === "insecure" || text === "verified") return text;
  throw new CorefileError(property.at, `pods ${text}; allowed: disabled, insecure, verified`);
}

/** The API as the directive names it; without a word about it, that of the cluster whose pod this is. */
async function connect(options: KubernetesOptions, { environment, instance }: SetupContext): Promise<Client> {
  const own = options.kubeconfig ?? options.server;
  if (own === undefined && instance.connectApi) return await instance.connectApi();
  const api = await import("#api/index.ts");
  const client = (config: Parameters<typeof api.http2Transport>[0]) =>
    new api.Client(api.http2Transport(config), { userAgent: "podwire-dns" });
  if (options.kubeconfig) return client(await api.loadKubeconfig(options.kubeconfig.file, options.kubeconfig.context));
  if (options.server === undefined) return client(api.inClusterConfig(environment));
  if (!options.tls) return client({ server: options.server });
  const [cert, key, ca] = await Promise.all(
    [options.tls.cert, options.tls.key, options.tls.ca].map((file) => readFile(file, "utf8")),
  );
  return client({
    server: options.server,
    cert: cert as string,
    key: key as string,
    ca: ca as string,
  });
}

/** This machine's addresses but loopback and link-local ones, for the zone's NS records. */
function ownAddresses(): Ip[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .flatMap(({ address }) => tryParseIp(address) ?? []);
}
