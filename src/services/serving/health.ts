import type { Node } from "#api/index.ts";
import type { ProxyObserver } from "../observer.ts";

/** Set by the cluster autoscaler on a node that it is about to delete. */
const TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler";
/** Go's zero time. */
const NEVER = "0001-01-01T00:00:00Z";

/** What /livez answers with; /healthz adds `nodeEligible` (pkg/proxy/healthcheck ProxyHealth). Times in RFC 3339. */
export interface HealthAnswer {
  readonly lastUpdated: string;
  readonly currentTime: string;
  readonly nodeEligible?: boolean;
  readonly healthy: boolean;
  readonly status:
    | Readonly<Record<"IPv4" | "IPv6", { readonly lastUpdated: string; readonly healthy: boolean }>>
    | object;
}

/**
 * Whether the rules follow the cluster: unhealthy is a proxy that has had changes before it for too long. It is healthy
 * while it starts.
 */
export class ProxyHealth implements ProxyObserver {
  readonly #timeoutMs: number;
  readonly #now: () => number;
  #lastUpdated: number | undefined;
  #oldestQueued: number | undefined;
  /** Since when the pass that is under way, or failed, has had its oldest change. */
  #oldestTaken: number | undefined;
  #hasEnded = false;
  #node: Node | undefined;

  /** @param timeoutMs how long changes may wait; upstream: twice the sync period */
  constructor(timeoutMs: number, now: () => number = Date.now) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  queued(): void {
    this.#oldestQueued ??= this.#now();
  }

  syncing(): void {
    // A pass without changes puts right what somebody else did; when it fails, that waits.
    this.#oldestTaken ??= this.#oldestQueued ?? this.#now();
    this.#oldestQueued = undefined;
  }

  synced(): void {
    this.#oldestTaken = undefined;
    this.#lastUpdated = this.#now();
  }

  /** Nothing follows the cluster any more. */
  ended(): void {
    this.#hasEnded = true;
  }

  node(node: Node | undefined): void {
    this.#node = node;
  }

  /** Whether the node may get traffic: it is there, nobody deletes it, and the autoscaler will not. */
  get nodeEligible(): boolean {
    if (!this.#node || this.#node.metadata.deletionTimestamp !== undefined) return false;
    return !this.#node.spec?.taints?.some(({ key }) => key === TO_BE_DELETED);
  }

  /** Of the rules, whatever the node. */
  get healthy(): boolean {
    if (this.#hasEnded) return false;
    const oldest = this.#oldestTaken ?? this.#oldestQueued;
    if (this.#lastUpdated === undefined || oldest === undefined) return true;
    return this.#now() - oldest < this.#timeoutMs;
  }

  /** The answer of /healthz, or of /livez, which does not look at the node. */
  answer(path: "/healthz" | "/livez"): { readonly code: 200 | 503; readonly body: HealthAnswer } {
    const { healthy, nodeEligible } = this;
    const currentTime = new Date(this.#now()).toISOString();
    const updated = this.#lastUpdated === undefined ? NEVER : new Date(this.#lastUpdated).toISOString();
    const code = healthy && (nodeEligible || path === "/livez") ? 200 : 503;
    const family = { lastUpdated: updated, healthy };
    return {
      code,
      body: {
        // Upstream too says "now" while all is well: older releases did, and tools compare the two times.
        lastUpdated: code === 200 ? currentTime : updated,
        currentTime,
        ...(path === "/healthz" ? { nodeEligible } : {}),
        healthy,
        ...(this.#lastUpdated === undefined ? { status: {} } : { status: { IPv4: family, IPv6: family } }),
      },
    };
  }
}
