import { type Node, OUTSIDE_ANNOTATION, type Pod } from "#api/index.ts";
import type { ClusterConfig } from "#lab/config/index.ts";
import type { ProcessState } from "#lab/engine/index.ts";

/** Answer of `podwire status --json`. */
export interface ClusterStatus {
  readonly name: string;
  readonly state: "starting" | "ready" | "degraded";
  /** Why it is degraded; empty otherwise. */
  readonly reasons: readonly string[];
  readonly kubeconfig: string;
  readonly urls: { readonly api: string; readonly ingress?: string };
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly hostAddress: string;
    readonly state: "Ready" | "NotReady";
  }[];
  /** Milliseconds from the start of the command to the first HTTP answer; absent before it, or without an example. */
  readonly firstAnswerMs?: number;
  readonly processes: readonly ProcessState[];
  /** Milliseconds from the start of the command at which each step was done. */
  readonly timeline: Readonly<Record<string, number>>;
}

/** What status is computed from. */
export interface StatusInput {
  readonly config: ClusterConfig;
  readonly started: boolean;
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly processes: readonly ProcessState[];
  readonly failure?: string;
  /** What is not open on the host. */
  readonly closed?: readonly string[];
}

function isReady(node: Node | undefined): boolean {
  return node?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

/** Why a cluster is not as it should be, one sentence each. */
export function degradedReasons(input: StatusInput): string[] {
  const { config, nodes, pods, processes, failure, closed = [] } = input;
  const reasons: string[] = [...(failure ? [failure] : []), ...closed];
  for (const process of processes) {
    if (process.state === "restarting") reasons.push(`${process.name} is being restarted (${process.reason})`);
  }
  for (const { name } of config.nodes) {
    const node = nodes.find((n) => n.metadata?.name === name);
    if (!isReady(node)) reasons.push(`node ${name} is not ready${notReadyMessage(node)}`);
    const network = node?.metadata?.annotations?.[OUTSIDE_ANNOTATION];
    if (network) reasons.push(`node ${name} has left the cluster's pod network: ${network}`);
  }
  for (const pod of pods) {
    const trouble = podTrouble(pod);
    if (trouble) reasons.push(`pod ${pod.metadata?.namespace}/${pod.metadata?.name}: ${trouble}`);
  }
  return reasons;
}

/** Why a pod does not run: no node takes it, or a container fails over and over. */
function podTrouble({ status }: Pod): string | undefined {
  const unscheduled = status?.conditions?.find((c) => c.type === "PodScheduled" && c.status === "False");
  if (unscheduled) return `${unscheduled.reason}: ${unscheduled.message ?? ""}`;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = containers.map((c) => c.state?.waiting).find((w) => w?.reason?.match(/BackOff|Err/));
  return waiting && `${waiting.reason}: ${waiting.message ?? ""}`;
}

function notReadyMessage(node: Node | undefined): string {
  const message = node?.status?.conditions?.find((c) => c.type === "Ready")?.message;
  return message ? ` (${message})` : "";
}

/** Whether a node's agent has said how it is since a moment, in milliseconds since 1970; it says so in whole seconds. */
export function reportedSince(node: Node, moment: number): boolean {
  const heartbeat = node.status?.conditions?.find((c) => c.type === "Ready")?.lastHeartbeatTime;
  return heartbeat !== undefined && Date.parse(heartbeat) >= Math.floor(moment / 1000) * 1000;
}

/** State of each node, in the configuration's order. */
export function nodeStates(
  config: ClusterConfig,
  nodes: readonly Node[],
  hostAddress: (i: number) => string,
): ClusterStatus["nodes"] {
  return config.nodes.map(({ name, addresses }, i) => ({
    name,
    address: addresses[0] ?? "",
    hostAddress: hostAddress(i),
    state: isReady(nodes.find((n) => n.metadata?.name === name)) ? "Ready" : "NotReady",
  }));
}
