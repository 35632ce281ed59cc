import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import path from "node:path";
import {
  type Client,
  createEventRecorder,
  Informer,
  type Node,
  type Pod,
  resources,
  type Service,
} from "#api/index.ts";
import { appRoot, distDirectory, nodeOptions, programFile } from "#base/entry.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import { CniRuntime } from "#cni/index.ts";
import { Spawner } from "#kernel/process/index.ts";
import { EchoClient } from "./echo/index.ts";
import { hasManyUsers, type ImageSource, TemplateImages } from "./images/index.ts";
import { isMirrorPod, MirrorPods, type NodeModule, quiet, staticModules } from "./modules/index.ts";
import { CniPodNetwork, NetworkWatch } from "./network/index.ts";
import { machineFacts, NodeRegistration } from "./node/index.ts";
import { ApiObjects } from "./objects.ts";
import type { AgentOptions } from "./options.ts";
import { PodManager, PodRecords, PodStatuses } from "./pods/index.ts";
import { ProcessRuntime } from "./runtime/index.ts";
import { KubeletServer } from "./server/index.ts";

/** Version of Kubernetes whose behaviour is followed. */
const KUBERNETES_VERSION = "v1.36.0";
/** Bytes that vxlan puts before a packet (outer IPv4, UDP and VXLAN headers, inner Ethernet). */
const VXLAN_OVERHEAD = 50;

/** Mirror pods are made when the node's pods have been as they are for so long. */
const QUIET_MS = 2000;

/** What an agent is given. */
export interface AgentDeps {
  readonly client: Client;
  readonly log: Logger;
  /** Shared with other parts of the process, such as the service proxy; started and stopped by the caller. */
  readonly services?: Informer<Service>;
  /**
   * The node's subnets and its pods' MTU, once the pod network is up. Without it: what the node's object says, with
   * room for vxlan.
   */
  readonly podNetwork?: Promise<PodNetworkFacts>;
  readonly metrics?: Metrics;
  /** What the node's kernel holds and why, for who asks the agent's server. */
  readonly origins?: (pods: readonly Pod[]) => Promise<unknown>;
  /** What this process does for the node besides pods; shown as mirror pods. */
  readonly modules?: readonly NodeModule[];
  /** Default: templates over the machine's files. */
  readonly images?: ImageSource;
}

/** What the default CNI configuration is made from. */
export interface PodNetworkFacts {
  readonly podCidrs: readonly string[];
  /** In bytes. */
  readonly mtu: number;
}

/** A running node agent. */
export interface Agent {
  readonly pods: PodManager;
  /** Lets go of the pods, which go on, and ends everything else. */
  stop(): Promise<void>;
}

/** tini, or nothing: a container's program is then its own first process. */
function findInit(): readonly string[] {
  const found = ["/usr/bin/tini", "/usr/bin/tini-static", "/sbin/tini"].find((p) => existsSync(p));
  return found ? [found, "--"] : [];
}

/** MTU of the interface that has the address; Ethernet's when none has it. */
function underlayMtu(address: string | undefined): number {
  const [name] = Object.entries(networkInterfaces()).find(([, list]) => list?.some((a) => a.address === address)) ?? [];
  return name === undefined ? 1500 : Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8"));
}

/** What runs on the node in processes: in this one, and in those that its manifests name. */
function nodeModules({ staticPodPath, folders, nodeName, addresses }: AgentOptions, deps: AgentDeps): NodeModule[] {
  const own = deps.modules ?? [];
  if (staticPodPath === undefined) return [...own];
  return [...own, ...staticModules(staticPodPath, folders.log, { name: nodeName, addresses }, deps.log)];
}

function makeFolders({ folders }: AgentOptions): void {
  mkdirSync(folders.run, { recursive: true, mode: 0o700 });
  for (const folder of [folders.netns, folders.podLogs, folders.containerLogs]) mkdirSync(folder, { recursive: true });
}

function templateImages(): TemplateImages {
  const command = (program: string) => [process.execPath, ...nodeOptions, path.join(distDirectory, `${program}.cjs`)];
  return new TemplateImages({ programs: { folder: appRoot, command }, manyUsers: hasManyUsers() });
}

/**
 * Starts a node agent: registers the node, takes over pods that run already, runs those that the API gives it.
 * Resolves when pods are being followed; registration and the API's absence are waited for in the background.
 * @throws SysError when this process may not make namespaces; Error with code EADDRINUSE
 */
export async function startAgent(options: AgentOptions, deps: AgentDeps): Promise<Agent> {
  const { client, log } = deps;
  const { folders, nodeName } = options;
  const node = { name: nodeName, addresses: options.addresses };
  makeFolders(options);
  const stop = new AbortController();
  const informerDeps = { log, signal: stop.signal };
  const pods = new Informer<Pod>(client, resources.pods, { fieldSelector: `spec.nodeName=${nodeName}` }, informerDeps);
  const services = deps.services ?? new Informer<Service>(client, resources.services, {}, informerDeps);
  for (const informer of [pods, services]) informer.start();
  const spawner = await Spawner.start({ thread: "inline" });

  const events = createEventRecorder(client, { component: "kubelet", host: nodeName }, { log });
  const runtime = new ProcessRuntime({ folder: folders.run, init: findInit() }, spawner);
  const images = deps.images ?? templateImages();
  const cni = new CniRuntime(
    { confDir: options.cniConfDir, binDirs: options.cniBinDirs, cacheDir: folders.cni },
    { log: log.child("cni") },
  );
  const echoCommand = [process.execPath, ...nodeOptions, programFile("echo")];
  const servers = new EchoClient(
    { socket: `${folders.run}/echo.sock`, command: echoCommand, log: `${folders.log}/echo.log` },
    log,
  );
  const statuses = new PodStatuses(client, log);
  const objects = new ApiObjects(client, log);
  const logFolders = { pods: folders.podLogs, containers: folders.containerLogs };
  const manager = new PodManager(
    {
      runtime,
      images,
      network: new CniPodNetwork(folders.netns, { cni, events, log }),
      servers,
      objects,
      events,
      records: new PodRecords(`${folders.run}/pods`),
      log: log.child("pods"),
      node,
      dns: {
        clusterDns: options.clusterDns,
        clusterDomain: options.clusterDomain,
        nodeResolvConf: readFileSync(options.resolvConf, "utf8"),
      },
      nodeHosts: () => readFileSync("/etc/hosts", "utf8"),
      services: () => services.synced.then(() => services.list()),
      logFolders,
      podsFolder: `${folders.kubelet}/pods`,
      reportStatus: (pod, status) => statuses.report(pod, status),
    },
    client,
    (uid) => statuses.forget(uid),
  );

  const network = new NetworkWatch(options.cniConfDir, cni, log, () => {
    registration.update();
    manager.retry();
  });
  const registration = new NodeRegistration(
    {
      name: nodeName,
      addresses: options.addresses,
      labels: options.labels,
      taints: options.taints,
      port: options.server.port,
      version: KUBERNETES_VERSION.slice(1),
      kubernetesVersion: KUBERNETES_VERSION,
      maxPods: options.maxPods,
    },
    { client, log, facts: machineFacts(), network: () => network.state, images: () => images.list() },
  );
  const mirrors = new MirrorPods(nodeModules(options, deps), node, {
    client,
    pods,
    events,
    log: log.child("modules"),
    reportStatus: (pod, status) => statuses.report(pod, status),
  });
  const server = new KubeletServer(serverOptions(options), {
    pods: manager,
    runtime,
    logFolders,
    modules: mirrors,
    metrics: () => deps.metrics?.text() ?? "",
    problem: () => undefined,
    ...(deps.origins
      ? { origins: () => deps.origins?.(pods.list().filter((pod) => !isMirrorPod(pod))) ?? Promise.resolve() }
      : {}),
    log,
  });

  network.start();
  const facts = deps.podNetwork ?? ownSubnets(options, client, informerDeps);
  facts
    .then(({ podCidrs, mtu }) => network.setPodCidrs(podCidrs, mtu))
    .catch(() => {
      // The agent stops before the network is up.
    });
  await server.start();
  registration
    .start()
    .then(async ({ metadata }) => {
      // Nobody waits for these pods: those that are being started go first.
      await quiet(pods, QUIET_MS, stop.signal);
      mirrors.start(metadata.uid ?? "");
    })
    .catch((error: unknown) => {
      if (!stop.signal.aborted) log.error("The node was not registered", { error });
    });
  await manager.start(pods);
  log.info("Following pods", { node: nodeName, pods: pods.list().length });
  return {
    pods: manager,
    async stop() {
      registration.stop();
      network.stop();
      await Promise.all([manager.stop(), mirrors.stop()]);
      objects.stop();
      await Promise.all([server.stop(), servers.stop(), statuses.stop(), events.flush()]);
      stop.abort(new Error("the agent stops"));
      await spawner.stop();
    },
  };
}

/** Waits until the node's object has subnets. */
function ownSubnets(
  options: AgentOptions,
  client: Client,
  deps: { log: Logger; signal: AbortSignal },
): Promise<PodNetworkFacts> {
  const selector = { fieldSelector: `metadata.name=${options.nodeName}` };
  const node = new Informer<Node>(client, resources.nodes, selector, deps);
  const mtu = underlayMtu(options.addresses[0]) - VXLAN_OVERHEAD;
  return new Promise((resolve) => {
    node.onChange(({ object }) => {
      const podCidrs = object.spec?.podCIDRs ?? (object.spec?.podCIDR === undefined ? [] : [object.spec.podCIDR]);
      if (podCidrs.length > 0) resolve({ podCidrs, mtu });
    });
    node.start();
  });
}

function serverOptions({ server }: AgentOptions) {
  return {
    address: server.address,
    port: server.port,
    cert: readFileSync(server.certFile, "utf8"),
    key: readFileSync(server.keyFile, "utf8"),
    clientCa: readFileSync(server.clientCaFile, "utf8"),
    healthzAddress: server.healthzAddress,
    healthzPort: server.healthzPort,
  };
}
