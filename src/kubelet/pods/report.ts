import type { Pod, PodStatus } from "#api/index.ts";
import { wholeSeconds } from "#base/time.ts";
import type { ContainerView } from "../status/containerStatus.ts";
import { type PodView, podStatus } from "../status/podStatus.ts";
import type { PodDeps } from "./deps.ts";
import type { ContainerUnit } from "./unit.ts";

/** What of a pod is reported. */
export interface ReportedPod {
  readonly pod: Pod;
  readonly units: readonly ContainerUnit[];
  readonly podIPs: readonly string[];
  readonly sandboxReady: boolean;
  readonly startTime: string;
  readonly verdict: PodView["verdict"];
}

/** Computes a pod's status and hands it on. */
export class PodReport {
  readonly #deps: PodDeps;
  #last: PodStatus | undefined;

  constructor(deps: PodDeps) {
    this.#deps = deps;
  }

  /** The status as it was last sent. */
  get last(): PodStatus | undefined {
    return this.#last;
  }

  /** Sends the status of now. */
  send({ pod, units, podIPs, sandboxReady, startTime, verdict }: ReportedPod): void {
    const containers = new Map<string, ContainerView>();
    for (const unit of units) {
      const view = unit.view();
      if (view) containers.set(unit.container.name, view);
    }
    const hostIPs = this.#deps.node.addresses;
    const now = wholeSeconds();
    const decided = verdict ? { verdict } : {};
    const view = { containers, sandboxReady, podIPs, hostIPs, startTime, ...decided };
    this.#last = podStatus(this.#withOwnConditions(pod), view, now);
    this.#deps.reportStatus(pod, this.#last);
  }

  /** The pod with the conditions that we reported last: the watch may not have brought them back yet. */
  #withOwnConditions(pod: Pod): Pod {
    const own = this.#last?.conditions;
    if (!own) return pod;
    const mine = new Set(own.map((c) => c.type));
    const others = pod.status?.conditions?.filter((c) => !mine.has(c.type)) ?? [];
    return { ...pod, status: { ...pod.status, conditions: [...own, ...others] } };
  }
}
