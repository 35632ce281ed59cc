import { type Node, OUTSIDE_ANNOTATION, type Pod } from "#api/index.ts";
import type { ClusterConfig } from "#lab/config/index.ts";
import type { MachineState, ProcessState } from "#lab/engine/index.ts";
import type { KnownMachine } from "./engineLink.ts";

/** Answer of `podwire status --json`. */
export interface ClusterStatus {
  readonly name: string;
  readonly state: "starting" | "ready" | "degraded";
  /** Why it is degraded; empty otherwise. */
  readonly reasons: readonly string[];
  readonly kubeconfig: string;
  readonly urls: { readonly api: string; readonly ingress?: string };
  /** Whether pods and nodes reach what the host reaches. */
  readonly outside: "on" | "off";
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly hostAddress: string;
    /** As Kubernetes has it: a node without power is Ready until its lease has run out. */
    readonly state: "Ready" | "NotReady";
    readonly machine: MachineState;
  }[];
  /** Milliseconds from the start of the command to the first HTTP answer; absent before it, or without an example. */
  readonly firstAnswerMs?: number;
  readonly processes: readonly ProcessState[];
  /** Milliseconds from the start of the command at which each step was done. */
  readonly timeline: Readonly<Record<string, number>>;
}

/** As long as this a pod may be without a node: at a start, nodes take pods a moment after they are ready. In ms. */
const PLACING_MS = 3000;

/** What status is computed from. */
export interface StatusInput {
  readonly config: ClusterConfig;
  readonly started: boolean;
  /** In ms since 1970. */
  readonly now: number;
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly processes: readonly ProcessState[];
  /** By name. */
  readonly machines: ReadonlyMap<string, KnownMachine>;
  readonly failure?: string | undefined;
  /** What is not open on the host. */
  readonly closed?: readonly string[];
}

/** Whether a node is ready, as it says or as is said of it. */
export function isReady(node: Node | undefined): boolean {
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
    const machine = input.machines.get(name);
    if (machine && machine.state !== "running") {
      reasons.push(machineTrouble(name, machine));
      continue;
    }
    if (!isReady(node)) reasons.push(`node ${name} is not ready${notReadyMessage(node)}`);
    const network = node?.metadata?.annotations?.[OUTSIDE_ANNOTATION];
    if (network) reasons.push(`node ${name} has left the cluster's pod network: ${network}`);
  }
  for (const pod of pods) {
    const trouble = podTrouble(pod, input.now);
    if (trouble) reasons.push(`pod ${pod.metadata?.namespace}/${pod.metadata?.name}: ${trouble}`);
  }
  return reasons;
}

function machineTrouble(name: string, { state, reason }: KnownMachine): string {
  const ended = reason === undefined ? `node ${name} is ${state}` : `node ${name} ended (${reason})`;
  return `${ended}: podwire node start ${name}`;
}

/** Why a pod does not run: no node takes it for some time, or a container fails over and over. */
function podTrouble({ status }: Pod, now: number): string | undefined {
  const unscheduled = status?.conditions?.find(
    (c) =>
      c.type === "PodScheduled" &&
      c.status === "False" &&
      now - (Date.parse(c.lastTransitionTime ?? "") || 0) > PLACING_MS,
  );
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

/** Whether every node of a configuration is ready. */
export function allReady(config: ClusterConfig, nodes: readonly Node[]): boolean {
  return config.nodes.every(({ name }) => isReady(nodes.find((node) => node.metadata.name === name)));
}

/** What is known of a cluster beside what its reasons come from. */
export interface ClusterView extends StatusInput {
  readonly kubeconfig: string;
  readonly apiUrl: string;
  readonly ingressPort: number | undefined;
  readonly firstAnswerMs: number | undefined;
  readonly timeline: Readonly<Record<string, number>>;
  readonly hostAddress: (slot: number) => string;
}

/** What `podwire status` says of a cluster. */
export function clusterStatus(view: ClusterView): ClusterStatus {
  const { config, started, failure, ingressPort, firstAnswerMs } = view;
  const reasons = started || failure ? degradedReasons(view) : [];
  return {
    name: config.name,
    state: reasons.length ? "degraded" : started ? "ready" : "starting",
    reasons,
    kubeconfig: view.kubeconfig,
    urls: {
      api: view.apiUrl,
      ...(ingressPort === undefined ? {} : { ingress: `http://127.0.0.1:${ingressPort}` }),
    },
    outside: config.outside ? "on" : "off",
    nodes: config.nodes.map(({ name, addresses, slot }) => ({
      name,
      address: addresses[0] ?? "",
      hostAddress: view.hostAddress(slot),
      state: isReady(view.nodes.find((n) => n.metadata?.name === name)) ? "Ready" : "NotReady",
      machine: view.machines.get(name)?.state ?? "stopped",
    })),
    ...(firstAnswerMs === undefined ? {} : { firstAnswerMs: Math.round(firstAnswerMs) }),
    processes: view.processes,
    timeline: view.timeline,
  };
}
