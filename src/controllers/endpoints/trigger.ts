import type { Pod, Service } from "#api/index.ts";
import { conditionOf } from "../objects.ts";

interface Seen {
  /** The Service's creation. */
  readonly service: number;
  /** When each pod last became ready or unready, by name. */
  readonly pods: ReadonlyMap<string, number>;
}

/**
 * When the earliest of the changes happened that a Service's endpoints are written for: the time of a pod's condition
 * Ready, or of the Service's creation. Whoever programs the network measures its delay by it.
 * Source: TriggerTimeTracker of k8s.io/endpointslice.
 */
export class TriggerTimes {
  readonly #seen = new Map<string, Seen>();

  /** The time of what is new since the last call, RFC 3339; undefined when nothing with a known time is. */
  next(key: string, service: Service, pods: readonly Pod[]): string | undefined {
    const before = this.#seen.get(key);
    const created = Date.parse(service.metadata.creationTimestamp ?? "");
    const times = new Map<string, number>();
    const fresh: number[] = [];
    for (const pod of pods) {
      const changed = Date.parse(conditionOf(pod.status?.conditions, "Ready")?.lastTransitionTime ?? "");
      if (Number.isNaN(changed)) continue;
      times.set(pod.metadata.name, changed);
      const known = before?.pods.get(pod.metadata.name);
      if (before && (known === undefined || changed > known)) fresh.push(changed);
    }
    const isNew = !before || created > before.service;
    if (isNew && !Number.isNaN(created)) fresh.push(created);
    this.#seen.set(key, { service: created, pods: times });
    return fresh.length === 0 ? undefined : new Date(Math.min(...fresh)).toISOString().replace(".000Z", "Z");
  }

  /** The Service is gone. */
  forget(key: string): void {
    this.#seen.delete(key);
  }
}
