import {
  ApiError,
  Backoff,
  type Client,
  isAfter,
  isConflict,
  isNotFound,
  type Pod,
  type PodStatus,
  resources,
} from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import { ownStatus } from "../status/podStatus.ts";

interface Entry {
  pod: Pod;
  /** Without conditions of others. */
  wanted: PodStatus;
  /** What the API has, as text. */
  sent: string;
  /** The same, as it was written; undefined before the first write. */
  sentStatus?: PodStatus | undefined;
  /** The pod's resource version after that write. */
  version?: string | undefined;
  sending: boolean;
  readonly backoff: Backoff;
}

/** Waits after a failed write, in ms. */
const RETRY = { initialMs: 50, maxMs: 5000, resetMs: 60_000 };

/** Writes pods' statuses to the API: the newest only, one at a time per pod, nothing when nothing has changed. */
export class PodStatuses {
  readonly #client: Client;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #work = new Set<Promise<void>>();
  #stopped = false;

  constructor(client: Client, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  /** Sends a status, unless the API is known to have it. */
  report(pod: Pod, whole: PodStatus): void {
    const status = ownStatus(whole);
    const uid = pod.metadata.uid ?? "";
    const known = this.#entries.get(uid);
    const entry = known ?? {
      pod,
      wanted: status,
      sent: canonical(pod.status && ownStatus(pod.status)),
      sending: false,
      backoff: new Backoff(RETRY),
    };
    entry.pod = pod;
    entry.wanted = status;
    if (isContradicted(entry)) {
      entry.sent = "";
      entry.sentStatus = undefined;
    }
    // Most passes over a pod change nothing, and the text by which writes are compared costs more than this look.
    if (known?.sentStatus !== undefined && !known.sending && equalJson(known.sentStatus, status)) return;
    this.#entries.set(uid, entry);
    if (!entry.sending) this.#send(entry);
  }

  /** Forgets a pod that is gone. */
  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  /** Resolves when everything reported so far was sent. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#work);
  }

  /** Ends retries; waits for what is being sent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.flush();
  }

  #send(entry: Entry): void {
    const text = canonical(entry.wanted);
    if (this.#stopped || text === entry.sent) return;
    entry.sending = true;
    const work: Promise<void> = this.#patch(entry, text).finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  async #patch(entry: Entry, text: string): Promise<void> {
    const { name, namespace, uid } = entry.pod.metadata;
    const status = entry.wanted;
    let wait = 0;
    try {
      const patch = { metadata: { uid }, status: patchOf(status) };
      const options = { type: "strategic", subresource: "status" } as const;
      const written = await this.#client.patch(resources.pods, name, namespace, patch, options);
      entry.version = written.metadata.resourceVersion;
      entry.sent = text;
      entry.sentStatus = status;
    } catch (error) {
      // Gone, or another pod of the same name: nobody wants this status any more.
      if (isNotFound(error) || isConflict(error)) entry.sent = text;
      else wait = entry.backoff.failed(performance.now());
      const refused = error instanceof ApiError && error.code < 500;
      this.#log[refused ? "warn" : "debug"]("A pod's status was not written", {
        pod: `${namespace}/${name}`,
        error: errorMessage(error),
      });
    }
    entry.sending = false;
    if (wait === 0) this.#send(entry);
    else this.#retry(entry, wait);
  }

  #retry(entry: Entry, waitMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!entry.sending) this.#send(entry);
    }, waitMs);
    this.#timers.add(timer);
  }
}

/** Fields of a status that a pod can lose again; they are said to be absent, for others may have written them. */
const MAY_GO = {
  reason: null,
  message: null,
  hostIP: null,
  hostIPs: null,
  podIP: null,
  podIPs: null,
  initContainerStatuses: null,
  ephemeralContainerStatuses: null,
};

/**
 * A strategic merge patch that brings about a status and leaves alone conditions that it does not name. Conditions are
 * merged field by field, so those that one does not have are named; addresses would be merged with earlier ones.
 */
function patchOf(status: PodStatus): Record<string, unknown> {
  const { conditions, podIPs, hostIPs } = status;
  const only = (list: readonly unknown[]) => [{ $patch: "replace" }, ...list];
  return {
    ...MAY_GO,
    ...status,
    ...(conditions ? { conditions: conditions.map((one) => ({ reason: null, message: null, ...one })) } : {}),
    ...(podIPs ? { podIPs: only(podIPs) } : {}),
    ...(hostIPs ? { hostIPs: only(hostIPs) } : {}),
  };
}

/**
 * Whether somebody has said other than we since our last write: the node controller does, of the pods of a node that it
 * has not heard from for a while.
 */
function isContradicted({ pod, wanted, version }: Entry): boolean {
  if (!isAfter(pod.metadata.resourceVersion, version)) return false;
  const ready = (status: PodStatus | undefined) => status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return ready(pod.status) !== ready(wanted);
}

/** A status as text that is equal for equal content: sorted keys, no nulls and empty objects. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => {
      if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
      const kept = Object.entries(inner).filter(([, v]) => v !== null && !isEmptyObject(v));
      return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
    }) ?? ""
  );
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}
