import { existsSync, readFileSync } from "node:fs";
import {
  createEventRecorder,
  type EventRecorder,
  Informer,
  kubernetesVersion,
  type Pod,
  type PodStatus,
  resources,
  type Service,
} from "#api/index.ts";
import { nodeOptions, programFile } from "#base/entry.ts";
import { CniRuntime } from "#cni/index.ts";
import type { Spawner } from "#kernel/process/index.ts";
import type { AgentDeps } from "./agent.ts";
import { NodeCgroups } from "./cgroups/index.ts";
import { EchoClient } from "./echo/index.ts";
import { type ImageSource, nodeImages } from "./images/index.ts";
import { isMirrorPod, MirrorPods, mirrorOf, type NodeModule, staticModules } from "./modules/index.ts";
import { CniPodNetwork, HostPorts, NetworkWatch } from "./network/index.ts";
import { machineFacts, NodeRegistration, resourcesOf } from "./node/index.ts";
import { ApiObjects } from "./objects.ts";
import type { AgentOptions } from "./options.ts";
import { type PodDeps, PodManager, PodRecords, PodStatuses, presentHandlers } from "./pods/index.ts";
import { ProcessRuntime } from "./runtime/index.ts";
import { KubeletAccess, KubeletServer } from "./server/index.ts";
import { isStaticPod, ManifestFolder } from "./static/index.ts";
import { NodeStats } from "./stats/index.ts";

/** The common name of the certificate that API servers show to node agents (kubeadm's). */
const API_SERVER = "kube-apiserver-kubelet-client";

/** Where a node has the control group that it was given. */
const CGROUP_ROOT = "/sys/fs/cgroup";

/** What all parts of an agent are made from. */
export interface AgentBase {
  readonly options: AgentOptions;
  readonly deps: AgentDeps;
  /** This node's pods. */
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly events: EventRecorder;
  readonly spawner: Spawner;
}

/** The parts of an agent, wired and not started. */
export interface AgentParts {
  readonly manager: PodManager;
  readonly network: NetworkWatch;
  readonly registration: NodeRegistration;
  readonly mirrors: MirrorPods;
  /** The node's own files of pods; absent when it has no folder for them. */
  readonly manifests?: ManifestFolder;
  readonly server: KubeletServer;
  readonly echo: EchoClient;
  readonly statuses: PodStatuses;
  readonly objects: ApiObjects;
}

/** The informers and the recorder; the informers are started. */
export function makeBase(options: AgentOptions, deps: AgentDeps, spawner: Spawner, signal: AbortSignal): AgentBase {
  const { client, log } = deps;
  const { nodeName } = options;
  const pods = new Informer<Pod>(
    client,
    resources.pods,
    { fieldSelector: `spec.nodeName=${nodeName}` },
    { log, signal },
  );
  const services = deps.services ?? new Informer<Service>(client, resources.services, {}, { log, signal });
  for (const informer of [pods, services]) informer.start();
  const rate = options.eventRate ? { rate: options.eventRate } : {};
  const events = createEventRecorder(client, { component: "kubelet", host: nodeName }, { log, ...rate });
  return { options, deps, pods, services, events, spawner };
}

/** Makes the parts and ties them together. */
export function makeParts(base: AgentBase): AgentParts {
  const { options, deps } = base;
  const { client, log } = deps;
  const { folders } = options;
  const cgroups = NodeCgroups.open(CGROUP_ROOT, options.podPidsLimit);
  const runtime = new ProcessRuntime(
    {
      folder: folders.run,
      ...(cgroups ? { cgroups } : {}),
      init: findInit(),
      ...(options.containerLogs ? { logs: options.containerLogs } : {}),
    },
    base.spawner,
  );
  const images = deps.images ?? nodeImages(options.images, () => registration.update());
  const cni = new CniRuntime(
    { confDir: options.cniConfDir, binDirs: options.cniBinDirs, cacheDir: folders.cni },
    { log: log.child("cni") },
  );
  const echo = makeEcho(base);
  const statuses = new PodStatuses(client, log);
  const objects = new ApiObjects(client, log);
  const reportStatus = (pod: Pod, status: PodStatus) =>
    isStaticPod(pod) ? mirrors.changed(pod) : statuses.report(pod, status);
  const manager = makeManager(base, { runtime, images, cgroups, cni, echo, statuses, objects, reportStatus });
  const network = new NetworkWatch(options.cniConfDir, cni, log, () => {
    registration.update();
    manager.retry();
  });
  const registration = makeRegistration(base, network, images);
  const mirrors = makeMirrors(base, statuses);
  const problem = () => registration.problem() ?? network.state.problem;
  const server = makeServer(base, { manager, runtime, cgroups, mirrors, problem });
  const manifests = makeManifests(base, manager, mirrors);
  const more = manifests ? { manifests } : {};
  return { manager, network, registration, mirrors, server, echo, statuses, objects, ...more };
}

/** Static pods: the manager runs them, mirror pods show them. */
function makeManifests(
  { options, deps }: AgentBase,
  manager: PodManager,
  mirrors: MirrorPods,
): ManifestFolder | undefined {
  const { staticPodPath, nodeName } = options;
  if (staticPodPath === undefined) return undefined;
  const shown = new Map<string, Pod>();
  return new ManifestFolder(staticPodPath, nodeName, deps.log.child("manifests"), (pods) => {
    const known = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const [uid, pod] of shown)
      if (!known.has(uid)) {
        mirrors.hide(pod);
        shown.delete(uid);
      }
    for (const pod of pods) {
      const { name, namespace = "", uid = "" } = pod.metadata;
      if (shown.has(uid)) continue;
      const mirror = mirrorOf(pod);
      shown.set(uid, mirror);
      mirrors.show({ pod: mirror, status: () => manager.find(namespace, name)?.reported });
    }
    manager.setStatic(pods);
  });
}

function makeEcho({ options: { folders }, deps }: AgentBase): EchoClient {
  const command = [process.execPath, ...nodeOptions, programFile("echo")];
  return new EchoClient({ socket: `${folders.run}/echo.sock`, command, log: `${folders.log}/echo.log` }, deps.log);
}

function makeManager(
  { options, deps, services, events }: AgentBase,
  parts: Pick<AgentParts, "echo" | "statuses" | "objects"> & {
    readonly reportStatus: PodDeps["reportStatus"];
    readonly runtime: ProcessRuntime;
    readonly images: ImageSource;
    readonly cgroups: NodeCgroups | undefined;
    readonly cni: CniRuntime;
  },
): PodManager {
  const { client, log } = deps;
  const { folders } = options;
  const { runtime, images, cgroups, cni, echo, statuses, objects, reportStatus } = parts;
  return new PodManager(
    {
      runtime,
      defaultRuntime: options.runtime ?? "podwire",
      images,
      ...(cgroups ? { cgroups } : {}),
      network: new CniPodNetwork(folders.netns, { cni, hostPorts: new HostPorts(), events, log }),
      servers: echo,
      objects,
      events,
      records: new PodRecords(`${folders.run}/pods`),
      log: log.child("pods"),
      node: { ...nodeOf(options), allocatable: resourcesOf(machineFacts(), options.maxPods) },
      dns: {
        clusterDns: options.clusterDns,
        clusterDomain: options.clusterDomain,
        nodeResolvConf: readFileSync(options.resolvConf, "utf8"),
      },
      nodeHosts: () => readFileSync("/etc/hosts", "utf8"),
      services: async (pod) => {
        if (!isStaticPod(pod)) await services.synced;
        return services.list();
      },
      logFolders: logFoldersOf(options),
      podsFolder: `${folders.kubelet}/pods`,
      reportStatus,
    },
    client,
    (uid) => statuses.forget(uid),
  );
}

function makeRegistration({ options, deps }: AgentBase, network: NetworkWatch, images: ImageSource): NodeRegistration {
  return new NodeRegistration(
    {
      ...nodeOf(options),
      labels: options.labels,
      taints: options.taints,
      port: options.server.port,
      version: kubernetesVersion.slice(1),
      kubernetesVersion,
      maxPods: options.maxPods,
    },
    {
      client: deps.client,
      log: deps.log,
      facts: machineFacts(),
      network: () => network.state,
      images: () => images.list(),
      handlers: presentHandlers,
    },
  );
}

function makeMirrors({ options, deps, pods, events }: AgentBase, statuses: PodStatuses): MirrorPods {
  return new MirrorPods(nodeModules(options, deps), nodeOf(options), {
    client: deps.client,
    pods,
    events,
    log: deps.log.child("modules"),
    reportStatus: (pod, status) => statuses.report(pod, status),
    onGone: (uid) => statuses.forget(uid),
  });
}

/** What runs on the node in processes: in this one, and in those that its manifests name. */
function nodeModules(options: AgentOptions, deps: AgentDeps): NodeModule[] {
  const { staticPodPath, folders } = options;
  const own = deps.modules ?? [];
  if (staticPodPath === undefined) return [...own];
  return [...own, ...staticModules(staticPodPath, folders.log, nodeOf(options))];
}

function makeServer(
  { options, deps, pods }: AgentBase,
  parts: Pick<AgentParts, "manager" | "mirrors"> & {
    readonly runtime: ProcessRuntime;
    readonly cgroups: NodeCgroups | undefined;
    readonly problem: () => string | undefined;
  },
): KubeletServer {
  const { origins, serviceProxy } = deps;
  const access = new KubeletAccess({ nodeName: options.nodeName, apiServer: API_SERVER }, deps.client);
  return new KubeletServer(serverOptions(options), {
    access,
    pods: parts.manager,
    runtime: parts.runtime,
    logFolders: logFoldersOf(options),
    logFolder: options.folders.log,
    modules: parts.mirrors,
    metrics: () => deps.metrics?.text() ?? "",
    stats: new NodeStats({ name: options.nodeName, startedAt: new Date().toISOString() }, parts.manager, (pid) =>
      parts.cgroups?.usageOf(pid),
    ),
    problem: parts.problem,
    ...(serviceProxy && { serviceProxy }),
    ...(origins ? { origins: () => origins(pods.list().filter((pod) => !isMirrorPod(pod))) } : {}),
    log: deps.log,
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

function nodeOf({ nodeName, addresses }: AgentOptions) {
  return { name: nodeName, addresses };
}

function logFoldersOf({ folders }: AgentOptions) {
  return { pods: folders.podLogs, containers: folders.containerLogs };
}

/** tini, or nothing where it is not there. */
function findInit(): readonly string[] {
  const found = ["/usr/bin/tini", "/usr/bin/tini-static", "/sbin/tini"].find((p) => existsSync(p));
  return found ? [found, "--"] : [];
}
