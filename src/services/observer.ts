import type { EndpointSlice, Node, Service } from "#api/index.ts";
import type { Frontend } from "./model/index.ts";

/** A kind of object that changes rules. */
export type ChangedKind = "service" | "endpoints";

/** A pass that has put everything known into effect. */
export interface Sync {
  /** In ms. */
  readonly durationMs: number;
  /** The kernel's state was read and compared, not only what changed. */
  readonly isFull: boolean;
  /** Services that were computed anew. */
  readonly services: number;
}

/** What a Service is on this node now. */
export interface Computed {
  /** Absent: it is gone. */
  readonly service?: Service;
  readonly slices: readonly EndpointSlice[];
  readonly frontends: readonly Frontend[];
}

/** Who is told what a service proxy does: metrics, health, logs. None of them may throw. */
export interface ProxyObserver {
  /** An object changed, and rules are to follow. @param at its last-change-trigger-time, in ms since 1970 */
  queued?(kind: ChangedKind, at?: number): void;
  /** A pass begins with everything that was queued until now: what comes while it runs is the next one's. */
  syncing?(): void;
  /** @param service `namespace/name` */
  computed?(service: string, now: Computed): void;
  synced?(sync: Sync): void;
  /** This node as the API has it; undefined when it has none. */
  node?(node: Node | undefined): void;
  /** Stale connections were looked for. @param flows removed, by family */
  cleaned?(flows: Readonly<Record<4 | 6, number>>, durationMs: number): void;
}

/** The annotation with it, from the endpoints controller. */
export const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

/** When the change behind a slice began, in ms since 1970 (the endpoints controller's annotation). */
export function triggerTime({ metadata }: EndpointSlice): number | undefined {
  const time = Date.parse(metadata.annotations?.[TRIGGER_TIME] ?? "");
  return Number.isNaN(time) ? undefined : time;
}
