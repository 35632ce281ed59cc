import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { Client } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";
import type { Setup, SetupContext } from "../../core/index.ts";
import { CorefileError, zonesOrDefault } from "../../corefile/index.ts";
import { fileVersion } from "../../zone/index.ts";
import { searchDomains } from "../autopath/setup.ts";
import { ClusterIndex } from "./clusterIndex.ts";
import { type KubernetesOptions, readOptions } from "./directive.ts";
import { KubernetesPlugin } from "./handler.ts";
import { ClusterRecords, isReverseZone } from "./model.ts";
import { ApiSource } from "./source.ts";

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
  const own = context.instance.addresses ?? ownAddresses();
  const recordOptions = {
    primaryZone,
    ttl,
    podMode,
    endpointPodNames,
    ignoreEmptyService,
    ...(namespaces && { namespaces }),
    labelledNamespaces: namespaceSelector !== undefined,
  };
  const records = new ClusterRecords(index, recordOptions, own);
  const watched = {
    pods: podMode === "verified",
    endpoints: options.endpoints,
    ...(labelSelector !== undefined && { labelSelector }),
    ...(namespaceSelector !== undefined && { namespaceSelector }),
  };
  const source = new ApiSource(
    { connect: () => connect(options, context), ...watched },
    index,
    context.log,
    context.instance.metrics,
  );
  return new KubernetesPlugin({
    zones,
    fallthrough: options.fallthrough,
    index,
    records,
    source,
    sourceKey: JSON.stringify([watched, placeOf(options)]),
    instance: context.instance,
    options: recordOptions,
    own,
    search: podMode === "verified" ? ownSearchDomains(context) : [],
  });
};

/** Where the API is, and which state of the files that say so: other certificates are another connection. */
function placeOf({ server, tls, kubeconfig }: KubernetesOptions): unknown {
  const files = [kubeconfig?.file, tls?.cert, tls?.key, tls?.ca].flatMap((file) => file ?? []);
  return [server, kubeconfig?.context, files, files.map(fileVersion)];
}

/** The API as the directive names it; without a word about it, that of the cluster whose pod this is. */
async function connect(options: KubernetesOptions, { environment, instance }: SetupContext): Promise<Client> {
  const own = options.kubeconfig ?? options.server;
  if (own === undefined && instance.connectApi) return await instance.connectApi();
  const api = await import("#api/index.ts");
  const client = (config: Parameters<typeof api.http2Transport>[0]) =>
    new api.Client(api.http2Transport(config), { userAgent: "podwire-dns" });
  if (options.kubeconfig) {
    const { file, context, at } = options.kubeconfig;
    const config = await api.loadKubeconfig(file, context).catch((error: unknown) => {
      throw new CorefileError(at, `kubeconfig: ${errorMessage(error)}`);
    });
    return client(config);
  }
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

/** Search domains of this machine's resolv.conf. */
function ownSearchDomains({ readText }: SetupContext): string[] {
  try {
    return searchDomains(readText("/etc/resolv.conf"));
  } catch {
    return []; // none, and no reason not to serve
  }
}

/** This machine's addresses but loopback and link-local ones, for the zone's NS records. */
function ownAddresses(): Ip[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .flatMap(({ address }) => tryParseIp(address) ?? []);
}
