import type { DaemonSet, Pod } from "#api/index.ts";
import { resolveCount } from "../deployment/replicasets.ts";
import { availableInMs, isPodActive } from "../objects.ts";
import { templateHashLabel } from "./plan.ts";

/** What a rolling update looks at. */
export interface UpdateInput {
  readonly daemonSet: DaemonSet;
  /** Pods by node: at most one active of the present template and one older, and those that are going. */
  readonly kept: ReadonlyMap<string, readonly Pod[]>;
  readonly hash: string;
  /** Number of nodes that shall have a pod. */
  readonly desired: number;
  readonly now: Date;
}

/** What it may do now. */
export interface UpdateStep {
  readonly remove: readonly Pod[];
  /** Nodes that get a new pod beside the old one. */
  readonly surge: readonly string[];
}

/** What of the old is replaced now. OnDelete: nothing, but for old pods beside new ones that serve. */
export function planUpdate(input: UpdateInput): UpdateStep {
  const { daemonSet, kept, hash, desired, now } = input;
  const nodes = [...kept]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, pods]) => ({ name, ...sortOut(pods, hash) }));
  const isAvailable = (pod: Pod) => availableInMs(pod, daemonSet.spec.minReadySeconds ?? 0, now) === 0;
  // Where both are, the old one has done its work as soon as the new one serves, whatever the strategy.
  const relieved = nodes.flatMap(({ fresh, old }) => (fresh && old && isAvailable(fresh) ? [old] : []));
  const { type = "RollingUpdate", rollingUpdate = {} } = daemonSet.spec.updateStrategy ?? {};
  if (type === "OnDelete") return { remove: relieved, surge: [] };
  const maxSurge = resolveCount(rollingUpdate.maxSurge, "0", desired, true);
  if (maxSurge > 0) {
    const surging = nodes.filter(({ fresh, old }) => fresh && old && !isAvailable(fresh)).length;
    const waiting = nodes.filter(({ fresh, old, going }) => old && !fresh && going.length === 0);
    const broken = waiting.filter(({ old }) => old && !isAvailable(old));
    const serving = waiting.filter(({ old }) => old && isAvailable(old)).slice(0, Math.max(0, maxSurge - surging));
    return { remove: relieved, surge: [...broken, ...serving].map(({ name }) => name) };
  }
  const allowed = Math.max(1, resolveCount(rollingUpdate.maxUnavailable, "1", desired, true));
  const outdated = nodes.flatMap(({ fresh, old }) => (old && !fresh ? [old] : []));
  const serving = outdated.filter(isAvailable);
  const unavailable =
    desired - nodes.filter(({ fresh, old }) => [fresh, old].some((pod) => pod && isAvailable(pod))).length;
  // What does not serve is no loss.
  const broken = outdated.filter((pod) => !isAvailable(pod));
  return { remove: [...relieved, ...broken, ...serving.slice(0, Math.max(0, allowed - unavailable))], surge: [] };
}

function sortOut(pods: readonly Pod[], hash: string) {
  const active = pods.filter(isPodActive);
  return {
    fresh: active.find((pod) => pod.metadata.labels?.[templateHashLabel] === hash),
    old: active.find((pod) => pod.metadata.labels?.[templateHashLabel] !== hash),
    going: pods.filter((pod) => !isPodActive(pod)),
  };
}
