import type { Condition, Node, NodeStatus, Taint } from "#api/index.ts";
import type { NetworkState } from "../network/index.ts";

/** Facts about the machine. */
export interface MachineFacts {
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** As Go names it: amd64, arm64. */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly swapBytes: number;
  readonly diskBytes: number;
}

/** What the node object says of this node. */
export interface NodeOptions {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly port: number;
  readonly version: string;
  /** Kubernetes version whose API is implemented, such as v1.36.0. */
  readonly kubernetesVersion: string;
  readonly maxPods: number;
}

/** What a node has for its pods. */
export function resourcesOf(facts: MachineFacts, maxPods: number): Record<string, string> {
  return {
    cpu: String(facts.cpus),
    "ephemeral-storage": `${Math.floor(facts.diskBytes / 1024)}Ki`,
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(maxPods),
  };
}

/** The node's object as it registers. */
export function nodeObject(options: NodeOptions, facts: MachineFacts): Node {
  const labels = {
    "beta.kubernetes.io/arch": facts.architecture,
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": facts.architecture,
    "kubernetes.io/hostname": options.name,
    "kubernetes.io/os": "linux",
    ...options.labels,
  };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: options.name,
      labels,
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: { ...(options.taints.length ? { taints: options.taints } : {}) },
  };
}

/** Conditions, in upstream's order and words. `since` gives the time of a condition's last change. */
function conditions(network: NetworkState, now: string, since: (type: string, status: string) => string): Condition[] {
  const made = (type: string, status: "True" | "False", reason: string, message: string): Condition => ({
    type,
    status,
    lastHeartbeatTime: now,
    lastTransitionTime: since(type, status),
    reason,
    message,
  });
  const problem = network.problem;
  const notReady = `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:${problem}`;
  return [
    made("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    made("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    made("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    problem === undefined
      ? made("Ready", "True", "KubeletReady", "kubelet is posting ready status")
      : made("Ready", "False", "KubeletNotReady", notReady),
  ];
}

/** What changes over a node's life. */
export interface NodeSituation {
  readonly network: NetworkState;
  readonly images: NonNullable<NodeStatus["images"]>;
  /** Handlers that a RuntimeClass can name here. */
  readonly handlers: readonly string[];
  /** RFC 3339. */
  readonly now: string;
  /** The status that the API has; unchanged conditions keep their times. */
  readonly before?: NodeStatus | undefined;
}

/** The node's status. */
export function nodeStatus(options: NodeOptions, facts: MachineFacts, situation: NodeSituation): NodeStatus {
  const capacity = resourcesOf(facts, options.maxPods);
  const since = (type: string, status: string) => {
    const old = situation.before?.conditions?.find((c) => c.type === type && c.status === status);
    return old?.lastTransitionTime ?? situation.now;
  };
  return {
    addresses: [
      ...options.addresses.map((address) => ({ type: "InternalIP" as const, address })),
      { type: "Hostname", address: options.name },
    ],
    capacity,
    allocatable: capacity,
    conditions: conditions(situation.network, situation.now, since),
    daemonEndpoints: { kubeletEndpoint: { Port: options.port } },
    images: situation.images,
    // The one without a name is the default, as containerd has it.
    runtimeHandlers: ["", ...situation.handlers].map((name) => ({
      name,
      features: { recursiveReadOnlyMounts: false, userNamespaces: false },
    })),
    features: { supplementalGroupsPolicy: true },
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.systemUuid,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: `podwire://${options.version}`,
      kubeletVersion: options.kubernetesVersion,
      // Upstream writes an empty string since 1.33; the field has to be there.
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: facts.architecture,
      ...(facts.swapBytes > 0 ? { swap: { capacity: facts.swapBytes } } : {}),
    },
  };
}
