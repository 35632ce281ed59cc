import type { Condition, Container, ContainerStatus, Pod, PodStatus } from "#api/index.ts";
import { type ContainerView, containerStatus } from "./containerStatus.ts";
import { qosClass } from "./qos.ts";

/** What the node knows of one pod. */
export interface PodView {
  /** By container name, init containers included; one that is missing waits to be created. */
  readonly containers: ReadonlyMap<string, ContainerView>;
  /** The network namespace is there and has its addresses. */
  readonly sandboxReady: boolean;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** When this node first saw the pod, RFC 3339. */
  readonly startTime: string;
  /** A decision about the whole pod, such as a deadline: it ends the pod whatever its containers do. */
  readonly verdict?: { readonly phase: "Failed" | "Succeeded"; readonly reason: string; readonly message: string };
}

type Phase = NonNullable<PodStatus["phase"]>;

function isDone(status: ContainerStatus): boolean {
  return status.state?.terminated?.exitCode === 0;
}

/** Whether a container runs, or ran before. */
function hasRun({ state, lastState }: ContainerStatus): boolean {
  return (state?.running ?? state?.terminated ?? lastState?.terminated) !== undefined;
}

/** Phase while init containers are not all done; undefined when they are, as they have been when any other has run. */
function initPhase(pod: Pod, inits: readonly ContainerStatus[], apps: readonly ContainerStatus[]): Phase | undefined {
  if (apps.some(hasRun)) return undefined;
  if (inits.every((s) => isInitialized(pod, s))) return undefined;
  const failed = inits.some((s) => s.state?.terminated && s.state.terminated.exitCode !== 0);
  return failed && pod.spec.restartPolicy === "Never" ? "Failed" : "Pending";
}

function isSidecar(pod: Pod, name: string): boolean {
  return pod.spec.initContainers?.some((c) => c.name === name && c.restartPolicy === "Always") ?? false;
}

/** Whether what follows an init container may start (status/generate.go, isInitContainerInitialized). */
function isInitialized(pod: Pod, status: ContainerStatus): boolean {
  return isSidecar(pod, status.name) ? status.started === true : isDone(status);
}

/**
 * Phase of a pod from its containers' states.
 * Source: Kubernetes documentation, "Pod Lifecycle"; a container that waits to be restarted counts as stopped.
 */
export function podPhase(pod: Pod, inits: readonly ContainerStatus[], apps: readonly ContainerStatus[]): Phase {
  const early = initPhase(pod, inits, apps);
  if (early) return early;
  const ended = apps.map((s) => s.state?.terminated ?? (s.state?.waiting ? s.lastState?.terminated : undefined));
  const running = apps.filter((s) => s.state?.running).length;
  const stopped = ended.filter((e) => e !== undefined);
  if (running + stopped.length < apps.length) return "Pending";
  if (running > 0) return "Running";
  const isWaited = apps.some((s) => s.state?.waiting);
  if (isWaited || (pod.spec.restartPolicy ?? "Always") === "Always") return "Running";
  if (stopped.every((e) => e?.exitCode === 0)) return "Succeeded";
  return pod.spec.restartPolicy === "Never" ? "Failed" : "Running";
}

type Draft = Pick<Condition, "type" | "status" | "reason" | "message">;

function met(type: string): Draft {
  return { type, status: "True" };
}

function unmet(type: string, reason: string, message: string): Draft {
  return { type, status: "False", reason, ...(message === "" ? {} : { message }) };
}

function initialized(
  pod: Pod,
  inits: readonly ContainerStatus[],
  apps: readonly ContainerStatus[],
  phase: Phase,
): Draft {
  if (phase === "Succeeded") return { ...met("Initialized"), reason: "PodCompleted" };
  if (apps.some(hasRun)) return met("Initialized");
  const open = inits.filter((s) => !isInitialized(pod, s)).map((s) => s.name);
  if (open.length === 0) return met("Initialized");
  return unmet("Initialized", "ContainersNotInitialized", `containers with incomplete status: [${open.join(" ")}]`);
}

/** An init container is ready once it has ended well; a sidecar as any container is (prober_manager.go, UpdatePodStatus). */
function initReady(container: Container, status: ContainerStatus): ContainerStatus {
  return container.restartPolicy === "Always" ? status : { ...status, ready: isDone(status) };
}

/** @param lasting statuses of all that is to go on running: sidecars and app containers */
function containersReady(lasting: readonly ContainerStatus[], phase: Phase): Draft {
  if (phase === "Succeeded") return unmet("ContainersReady", "PodCompleted", "");
  if (phase === "Failed") return unmet("ContainersReady", "PodFailed", "");
  const open = lasting.filter((s) => !s.ready).map((s) => s.name);
  if (open.length === 0) return met("ContainersReady");
  return unmet("ContainersReady", "ContainersNotReady", `containers with unready status: [${open.join(" ")}]`);
}

/** What keeps a readiness gate shut; undefined when it is open. */
function gateProblem(pod: Pod, gate: string): string | undefined {
  const found = pod.status?.conditions?.find(({ type }) => type === gate);
  if (!found) return `corresponding condition of pod readiness gate ${JSON.stringify(gate)} does not exist.`;
  if (found.status === "True") return undefined;
  return `the status of pod readiness gate ${JSON.stringify(gate)} is not "True", but ${found.status}`;
}

function podReady(pod: Pod, containers: Draft): Draft {
  if (containers.status !== "True") return { ...containers, type: "Ready" };
  const problems = (pod.spec.readinessGates ?? []).map(({ conditionType }) => gateProblem(pod, conditionType));
  const open = problems.filter((problem) => problem !== undefined);
  return open.length === 0 ? met("Ready") : unmet("Ready", "ReadinessGatesNotReady", open.join(", "));
}

/** Conditions that the node agent owns; all others on the object are kept as they are. */
const OWNED = new Set(["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]);

/** Names of the containers that a status says are ready, sidecars among them. */
export function readyContainers({ initContainerStatuses, containerStatuses }: PodStatus = {}): Set<string> {
  const told = [...(initContainerStatuses ?? []), ...(containerStatuses ?? [])];
  return new Set(told.filter((status) => status.ready).map(({ name }) => name));
}

/** A pod's status without conditions of others. */
export function ownStatus(status: PodStatus): PodStatus {
  const { conditions } = status;
  if (!conditions || conditions.every(({ type }) => OWNED.has(type))) return status;
  return { ...status, conditions: conditions.filter(({ type }) => OWNED.has(type)) };
}

function withTimes(drafts: readonly Draft[], pod: Pod, now: string): Condition[] {
  const before = pod.status?.conditions ?? [];
  const { generation } = pod.metadata;
  const seen = generation === undefined ? {} : { observedGeneration: generation };
  const made = drafts.map((draft) => {
    const old = before.find((c) => c.type === draft.type);
    const since = old?.status === draft.status ? old.lastTransitionTime : undefined;
    return { ...draft, ...seen, lastProbeTime: null, lastTransitionTime: since ?? now };
  });
  return [...made, ...before.filter((c) => !OWNED.has(c.type))];
}

/**
 * The status to report for a pod. Pure: equal inputs give equal output.
 * @param now RFC 3339 time for conditions that change
 */
export function podStatus(pod: Pod, view: PodView, now: string): PodStatus {
  const hasInits = (pod.spec.initContainers?.length ?? 0) > 0;
  const statusOf = (c: Container, waiting: string) => containerStatus(c, view.containers.get(c.name), waiting);
  const inits = (pod.spec.initContainers ?? []).map((c) => initReady(c, statusOf(c, "PodInitializing")));
  const apps = pod.spec.containers.map((c) => statusOf(c, hasInits ? "PodInitializing" : "ContainerCreating"));
  const ephemerals = (pod.spec.ephemeralContainers ?? []).map((c) => statusOf(c, "ContainerCreating"));
  const phase = view.verdict?.phase ?? podPhase(pod, inits, apps);
  const sidecars = inits.filter(({ name }) => isSidecar(pod, name));
  const ready = containersReady([...sidecars, ...apps], phase);
  const sandbox: Draft = view.sandboxReady
    ? met("PodReadyToStartContainers")
    : { type: "PodReadyToStartContainers", status: "False" };
  const drafts = [sandbox, initialized(pod, inits, apps, phase), podReady(pod, ready), ready, met("PodScheduled")];
  const [hostIP] = view.hostIPs;
  const [podIP] = view.podIPs;
  return {
    phase,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    conditions: withTimes(drafts, pod, now),
    ...(view.verdict ? { reason: view.verdict.reason, message: view.verdict.message } : {}),
    ...(hostIP === undefined ? {} : { hostIP, hostIPs: view.hostIPs.map((ip) => ({ ip })) }),
    ...(podIP === undefined ? {} : { podIP, podIPs: view.podIPs.map((ip) => ({ ip })) }),
    startTime: view.startTime,
    ...(inits.length ? { initContainerStatuses: inits } : {}),
    containerStatuses: apps,
    ...(ephemerals.length ? { ephemeralContainerStatuses: ephemerals } : {}),
    qosClass: qosClass(pod),
  };
}
