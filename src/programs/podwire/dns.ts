import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { parse } from "yaml";
import { Client, http2Transport, loadKubeconfig, type Pod, resources } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import type { Origin } from "#base/origin.ts";
import {
  type AskServer,
  beyond,
  ClusterServer,
  CorefileError,
  configMapsOf,
  type DnsObjects,
  type DnsTool,
  dnsAnswerText,
  explainLookup,
  type NameServer,
  nameServerAt,
  reasoned,
  surroundingsOf,
} from "#dns/index.ts";
import { type DnsSettings, hostsFile, resolvConf } from "#kubelet/index.ts";
import type { ClusterStatus } from "#lab/parent/index.ts";
import { commandOn } from "./enter.ts";
import { ask } from "./query.ts";

interface Flags {
  readonly name: string;
  readonly namespace: string;
  readonly from?: string;
  readonly resolver: DnsTool;
  readonly fail?: boolean;
  readonly resolvConf?: string;
  readonly hosts?: string;
  readonly nsswitch?: string;
  readonly json?: boolean;
}

/** The files that a client looks names up by. */
interface ClientFiles {
  readonly from: string;
  readonly resolvConf: string;
  readonly resolvConfOrigin?: Origin;
  readonly hosts?: string;
  readonly nsswitch?: string;
  /** The client's address, where it is known. */
  readonly address?: string;
}

/** `podwire dns explain NAME` */
export async function runDnsExplain(what: string, flags: Flags): Promise<void> {
  if (flags.fail !== undefined && ["glibc", "musl"].includes(flags.resolver))
    throw new PodwireError(
      "InvalidConfig",
      `--fail and --no-fail are nslookup's, host's and dig's; ${flags.resolver} has no such rule`,
    );
  const lab = await labOf(flags);
  try {
    const client = flags.resolvConf === undefined ? await filesOfPod(required(lab), flags) : {};
    const given: ClientFiles = {
      from: `a client with ${flags.resolvConf}`,
      resolvConf: flags.resolvConf === undefined ? "" : await readFile(flags.resolvConf, "utf8"),
      ...client,
      ...(flags.hosts !== undefined && { hosts: await readFile(flags.hosts, "utf8") }),
      ...(flags.nsswitch !== undefined && { nsswitch: await readFile(flags.nsswitch, "utf8") }),
    };
    const { address, ...files } = given;
    const servers = new Servers(lab, address);
    const { resolver: tool, fail } = flags;
    // In a pod there is no avahi daemon; on the machine of a given file there may be one.
    const multicast = flags.resolvConf !== undefined;
    const question = { name: what, tool, multicast, ...(fail !== undefined && { fail }), ...files };
    const answer = await explainLookup(question, servers.ask).finally(() => servers.stop());
    process.stdout.write(flags.json ? `${JSON.stringify(answer, null, 2)}\n` : dnsAnswerText(answer));
  } finally {
    await lab?.client.transport.close();
  }
}

/** A cluster, and what of it is looked at. */
interface Lab {
  readonly name: string;
  readonly status: ClusterStatus;
  readonly client: Client;
  readonly objects: DnsObjects;
}

/** The cluster; none is needed where a file says what the resolver does. */
async function labOf({ name, resolvConf: file }: Flags): Promise<Lab | undefined> {
  try {
    const status = (await ask(name, { command: "status" })) as ClusterStatus;
    const client = await clientOf(status);
    return { name, status, client, objects: await readObjects(client) };
  } catch (error) {
    if (file !== undefined && error instanceof PodwireError && error.code === "NotRunning") return undefined;
    throw error;
  }
}

function required(lab: Lab | undefined): Lab {
  if (lab) return lab;
  throw new PodwireError("NotRunning", "a pod's files are those of a running cluster");
}

async function clientOf({ kubeconfig }: ClusterStatus): Promise<Client> {
  return new Client(http2Transport(await loadKubeconfig(kubeconfig)), { userAgent: "podwire" });
}

async function readObjects(client: Client): Promise<DnsObjects> {
  const [namespaces, services, slices, pods] = await Promise.all([
    client.list(resources.namespaces, {}),
    client.list(resources.services, {}),
    client.list(resources.endpointSlices, {}),
    client.list(resources.pods, {}),
  ]);
  return { namespaces: namespaces.items, services: services.items, slices: slices.items, pods: pods.items };
}

/** A pod's resolv.conf and hosts, as the kubelet of its node writes them. */
async function filesOfPod({ name, status, objects }: Lab, { from, namespace }: Flags): Promise<ClientFiles> {
  const pod = from === undefined ? undefined : findPod(objects.pods, from, namespace);
  const node = pod?.spec.nodeName ?? status.nodes[0]?.name ?? "";
  const dns = await dnsSettings(name, node);
  if (!pod) {
    const spec = { metadata: { name: "client", namespace }, spec: { containers: [] } } as unknown as Pod;
    return {
      from: `a pod of namespace ${namespace}`,
      resolvConf: resolvConf(spec, dns),
      resolvConfOrigin: { kind: "dnsPolicy", name: "ClusterFirst" },
      hosts: hostsFile(spec, [], dns.clusterDomain, ""),
    };
  }
  const place = { namespace: pod.metadata.namespace as string, name: pod.metadata.name };
  const nodeHosts = pod.spec.hostNetwork ? await fileOf(name, node, "/etc/hosts") : "";
  const ips = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const written = resolvConf(pod, dns);
  const now = await ownFiles(name, node, pod);
  const field = pod.spec.dnsConfig ? "spec.dnsConfig" : "spec.dnsPolicy";
  const isEdited = now.resolvConf !== undefined && now.resolvConf !== written;
  return {
    from: `pod ${place.namespace}/${place.name} on ${node}`,
    resolvConf: written,
    hosts: hostsFile(pod, ips, dns.clusterDomain, nodeHosts),
    ...(ips[0] !== undefined && { address: ips[0] }),
    ...now,
    resolvConfOrigin: { kind: "Pod", ...place, field: isEdited ? "/etc/resolv.conf, edited" : field },
  };
}

/**
 * The files as they are now in the first container that runs: somebody in it may have edited them. Those that cannot be
 * read (the pod has none of its own, or made something else of them) are left out.
 */
async function ownFiles(cluster: string, node: string, pod: Pod): Promise<Partial<ClientFiles>> {
  const running = pod.status?.containerStatuses?.find(({ state }) => state?.running);
  const id = /^podwire:\/\/([0-9a-f]+)$/.exec(running?.containerID ?? "")?.[1];
  if (id === undefined) return {};
  const read = async (file: string): Promise<string | undefined> => {
    // A container's own layer, at the same place for all runtimes; a link in it must lead nowhere.
    const path = `/run/podwire/containers/${id}/upper/etc/${file}`;
    const words = ["dd", `if=${path}`, "iflag=nofollow,nonblock", "bs=64k", "count=16", "status=none"];
    return await outputOf(cluster, node, words).catch(() => undefined);
  };
  const [resolvConf, hosts, nsswitch] = await Promise.all(["resolv.conf", "hosts", "nsswitch.conf"].map(read));
  return {
    ...(resolvConf !== undefined && { resolvConf }),
    ...(hosts !== undefined && { hosts }),
    ...(nsswitch !== undefined && { nsswitch }),
  };
}

function findPod(pods: readonly Pod[], from: string, inNamespace: string): Pod {
  const [namespace, name] = from.includes("/") ? from.split("/", 2) : [inNamespace, from];
  const pod = pods.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  if (!pod) throw new PodwireError("NotFound", `no pod ${namespace}/${name}`);
  if (!pod.spec.nodeName) throw new PodwireError("NotFound", `pod ${namespace}/${name} is on no node yet`);
  return pod;
}

/** What a node's kubelet knows of DNS: its configuration, and the node's own resolv.conf. */
async function dnsSettings(cluster: string, node: string): Promise<DnsSettings> {
  const config = parse(await fileOf(cluster, node, "/var/lib/kubelet/config.yaml")) as {
    clusterDNS?: string[];
    clusterDomain?: string;
    resolvConf?: string;
  };
  return {
    clusterDns: config.clusterDNS ?? [],
    clusterDomain: config.clusterDomain ?? "",
    nodeResolvConf: await fileOf(cluster, node, config.resolvConf ?? "/etc/resolv.conf"),
  };
}

async function fileOf(cluster: string, node: string, path: string): Promise<string> {
  return await outputOf(cluster, node, ["cat", path]);
}

async function outputOf(cluster: string, node: string, command: readonly string[]): Promise<string> {
  const [program, ...args] = await commandOn(cluster, node, command);
  return (await promisify(execFile)(program, args, { timeout: 10_000, maxBuffer: 1 << 20 })).stdout;
}

/** Answers for name servers: those of the cluster as their Corefile says. */
class Servers {
  readonly #lab: Lab | undefined;
  readonly #peer: string | undefined;
  readonly #started = new Map<string, Promise<{ server: ClusterServer; zones: readonly string[] }>>();

  constructor(lab: Lab | undefined, peer: string | undefined) {
    this.#lab = lab;
    this.#peer = peer;
  }

  readonly ask: AskServer = async (address, name, type) => {
    const lab = this.#lab;
    if (!lab) return { outcome: "unknown", records: [], because: "no cluster is running" };
    const found = nameServerAt(address, lab.objects);
    const outside = lab.status.outside === "on";
    if (found.kind === "elsewhere")
      return beyond({ outcome: "unknown", records: [], because: found.because }, outside, "unreachable");
    if (found.kind === "refuses") return { outcome: "unreachable", records: [], ...found };
    const { server, zones } = await this.#serverOf(lab, found);
    const answer = await server.ask(name, type);
    return reasoned(answer, { name: name.toLowerCase(), type, objects: lab.objects, zones, outside });
  };

  async stop(): Promise<void> {
    for (const started of this.#started.values()) await (await started).server.stop();
  }

  #serverOf(lab: Lab, place: NameServer & { readonly kind: "corefile" }) {
    const key = `${place.namespace}/${place.configMap}/${place.key}`;
    const started = this.#started.get(key) ?? this.#start(lab, place);
    this.#started.set(key, started);
    return started;
  }

  async #start(lab: Lab, { namespace, configMap, key, pod }: NameServer & { readonly kind: "corefile" }) {
    const wanted = new Set(configMapsOf(pod));
    const { items } = await lab.client.list(resources.configMaps, { namespace });
    const maps = items.filter(({ metadata }) => wanted.has(metadata.name));
    const text = maps.find(({ metadata }) => metadata.name === configMap)?.data?.[key];
    if (text === undefined) throw new PodwireError("NotFound", `no ${key} in ConfigMap ${namespace}/${configMap}`);
    const peer = this.#peer;
    const connect = () => clientOf(lab.status);
    try {
      const around = surroundingsOf(pod, maps);
      const server = await ClusterServer.start({
        file: key,
        text,
        connect,
        ...around,
        ...(peer !== undefined && { peer }),
      });
      return { server, zones: server.clusterZones };
    } catch (error) {
      if (!(error instanceof CorefileError)) throw error;
      const words = "pods that read it go on with what they had before; those that start end with this error";
      throw new PodwireError("InvalidCorefile", `ConfigMap ${namespace}/${configMap}: ${error.message}; ${words}`);
    }
  }
}
