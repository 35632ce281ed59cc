import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";
import type { Stored } from "./definition.ts";
import { age, humanDuration } from "./print.ts";

type Pod = Stored<V1Pod>;

/** A pod's row (printPod in k8s.io/kubernetes/pkg/printers/internalversion/printers.go). */
export function podRow(pod: Pod, now: number): unknown[] {
  const { spec, status, metadata } = pod;
  const summary = summarize(pod);
  const restarts =
    summary.restarts > 0 && summary.lastRestart
      ? `${summary.restarts} (${humanDuration((now - summary.lastRestart) / 1000)} ago)`
      : String(summary.restarts);
  const gates = spec?.readinessGates ?? [];
  const met = gates.filter((g) =>
    status?.conditions?.some((c) => c.type === g.conditionType && c.status === "True"),
  ).length;
  return [
    metadata.name,
    `${summary.ready}/${summary.total}`,
    summary.reason,
    restarts,
    age(metadata.creationTimestamp, now),
    status?.podIPs?.[0]?.ip ?? status?.podIP ?? "<none>",
    spec?.nodeName || "<none>",
    status?.nominatedNodeName || "<none>",
    gates.length > 0 ? `${met}/${gates.length}` : "<none>",
  ];
}

interface Summary {
  reason: string;
  ready: number;
  total: number;
  restarts: number;
  /** Milliseconds since the epoch; 0 without restarts. */
  lastRestart: number;
}

function summarize(pod: Pod): Summary {
  const { status, spec, metadata } = pod;
  const summary: Summary = {
    reason: status?.reason || status?.phase || "Unknown",
    ready: 0,
    total: spec?.containers?.length ?? 0,
    restarts: 0,
    lastRestart: 0,
  };
  if (status?.conditions?.some((c) => c.type === "PodScheduled" && c.reason === "SchedulingGated"))
    summary.reason = "SchedulingGated";
  const initializing = summarizeInit(pod, summary);
  const initialized = status?.conditions?.some((c) => c.type === "Initialized" && c.status === "True") ?? false;
  if (!initializing || initialized) {
    // What initialized the pod is done: from here on only what runs beside the containers counts with them.
    summary.restarts = 0;
    summary.lastRestart = 0;
    const sidecars = sidecarsOf(pod);
    for (const c of pod.status?.initContainerStatuses ?? []) if (sidecars.has(c.name)) countRestarts(c, summary);
    summarizeMain(pod, summary);
  }
  if (metadata.deletionTimestamp !== undefined && status?.reason === "NodeLost") summary.reason = "Unknown";
  else if (metadata.deletionTimestamp !== undefined && status?.phase !== "Failed" && status?.phase !== "Succeeded") {
    summary.reason = "Terminating";
  }
  return summary;
}

/** Init containers that go on running beside the others. */
function sidecarsOf(pod: Pod): Set<string> {
  const containers = pod.spec?.initContainers ?? [];
  return new Set(containers.filter((c) => c.restartPolicy === "Always").map((c) => c.name));
}

/** Counts init containers; true while they are not done. */
function summarizeInit(pod: Pod, summary: Summary): boolean {
  const containers = pod.spec?.initContainers ?? [];
  const sidecars = sidecarsOf(pod);
  summary.total += sidecars.size;
  for (const [i, c] of (pod.status?.initContainerStatuses ?? []).entries()) {
    countRestarts(c, summary);
    if (c.state?.terminated?.exitCode === 0) continue;
    if (sidecars.has(c.name) && c.started) {
      if (c.ready) summary.ready++;
      continue;
    }
    const { terminated, waiting } = c.state ?? {};
    if (terminated) summary.reason = `Init:${terminatedReason(terminated)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") summary.reason = `Init:${waiting.reason}`;
    else summary.reason = `Init:${i}/${containers.length}`;
    return true;
  }
  return false;
}

function summarizeMain(pod: Pod, summary: Summary): void {
  let running = false;
  for (const c of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    countRestarts(c, summary);
    const { waiting, terminated } = c.state ?? {};
    if (waiting?.reason) summary.reason = waiting.reason;
    else if (terminated) summary.reason = terminatedReason(terminated);
    else if (c.ready && c.state?.running) {
      running = true;
      summary.ready++;
    }
  }
  if (summary.reason === "Completed" && running) {
    const ready = pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True");
    summary.reason = ready ? "Running" : "NotReady";
  }
}

function countRestarts(c: V1ContainerStatus, summary: Summary): void {
  summary.restarts += c.restartCount ?? 0;
  const finished = c.lastState?.terminated?.finishedAt as unknown as string | undefined;
  if (finished) summary.lastRestart = Math.max(summary.lastRestart, Date.parse(finished));
}

function terminatedReason(t: { reason?: string; signal?: number; exitCode: number }): string {
  return t.reason || (t.signal ? `Signal:${t.signal}` : `ExitCode:${t.exitCode ?? 0}`);
}
