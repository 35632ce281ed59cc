import type { ConfigMap, EventRecorder, Pod, RuntimeClass, Secret, Service } from "#api/index.ts";
import type { Logger } from "#base/log.ts";
import type { NodeCgroups } from "../cgroups/index.ts";
import type { ImageSource } from "../images/index.ts";
import type { LogFolders } from "../logs/index.ts";
import type { ProcessRuntime, RuntimeName } from "../runtime/index.ts";
import type { DnsSettings } from "../spec/files.ts";
import type { BoundToken, VolumeReference } from "../volumes/index.ts";
import type { PodRecords, SandboxRecord } from "./record.ts";

/** The pod network as the kubelet uses it: a CNI runtime. */
export interface PodNetwork {
  /**
   * Makes a pod's network namespace, pins it at `sandbox.netns` and attaches it.
   * @param again there was an attempt before: anything left of it is removed first
   * @returns the pod's addresses, the main one first
   */
  setUp(pod: Pod, sandbox: Pick<SandboxRecord, "id" | "netns">, again: boolean): Promise<readonly string[]>;
  /** Detaches and removes it; one that is gone is no error. */
  tearDown(pod: Pod, sandbox: Pick<SandboxRecord, "id" | "netns">): Promise<void>;
  /** Whether a pod's namespace is still there: it does not outlive the machine. */
  isThere(sandbox: Pick<SandboxRecord, "netns">): boolean;
  /** Where a pod's namespace is pinned. */
  pathOf(sandboxId: string): string;
}

/** A server that answers in a container's place; see images' `served`. */
export interface PodServers {
  /** Gets ready: a container will be added soon. */
  warm(): void;
  /** Listens in the pod's namespace. @throws Error with the message of the failed listen */
  add(server: ServedContainer): Promise<void>;
  /** Closes its listening sockets and connections. */
  remove(containerId: string): Promise<void>;
  /** Closes what an earlier agent has added and this one has not. */
  settle(): Promise<void>;
}

/** What the serving process must know of a container. */
export interface ServedContainer {
  readonly id: string;
  /** Path of the pod's network namespace; absent: the node's. */
  readonly netns?: string;
  readonly args: readonly string[];
  /** Ports when the arguments name none. */
  readonly ports: readonly number[];
  readonly pod: string;
  readonly namespace: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

/** Reads of the API that containers and volumes need; undefined for what does not exist. */
export interface ObjectReader {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  runtimeClass(name: string): Promise<RuntimeClass | undefined>;
  /** Calls back when the object comes, changes or goes; gives what ends it. */
  watch(reference: VolumeReference, namespace: string, onChange: () => void): () => void;
  token(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<BoundToken>;
}

/** What the pods of a node share. */
export interface PodDeps {
  readonly runtime: ProcessRuntime;
  /** What starts the containers of pods that name no RuntimeClass. */
  readonly defaultRuntime: RuntimeName;
  /** Where limits bind; absent: nothing is bounded. */
  readonly cgroups?: NodeCgroups;
  readonly images: ImageSource;
  readonly network: PodNetwork;
  readonly servers: PodServers;
  readonly objects: ObjectReader;
  readonly events: EventRecorder;
  readonly records: PodRecords;
  readonly log: Logger;
  readonly node: {
    readonly name: string;
    readonly addresses: readonly string[];
    /** As the node's object has it. */
    readonly allocatable: Readonly<Record<string, string>>;
  };
  readonly dns: DnsSettings;
  /** Text of the node's /etc/hosts, for pods in its network. */
  readonly nodeHosts: () => string;
  /** Services for the environments of a pod's containers, once they have been read; a static pod waits for nobody. */
  readonly services: (pod: Pod) => Promise<readonly Service[]>;
  readonly logFolders: LogFolders;
  /** `/var/lib/kubelet/pods` */
  readonly podsFolder: string;
  /** Sends a pod's status to the API, now or when it can be reached. */
  readonly reportStatus: (pod: Pod, status: NonNullable<Pod["status"]>) => void;
}
