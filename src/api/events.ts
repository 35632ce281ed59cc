import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Client } from "./client.ts";
import { isNotFound } from "./errors.ts";
import { EventPace, type EventRate } from "./eventPace.ts";
import { apiVersionOf, type Resource, resources } from "./resources.ts";
import type { Event, KubeObject, ObjectReference } from "./types.ts";

/** Writes Events about objects. Never throws: events are for people, no state depends on them. */
export interface EventRecorder {
  event(about: ObjectReference, type: "Normal" | "Warning", reason: string, message: string): void;
  /** Resolves when everything recorded so far was sent or given up. */
  flush(): Promise<void>;
}

/** Who reports. */
export interface EventSource {
  /** `default-scheduler`, `kubelet`, … */
  readonly component: string;
  /** The node, for components of a node. */
  readonly host?: string;
}

/** A reference for `event` to an object of a known resource. */
export function referenceTo(of: Resource, object: KubeObject, fieldPath?: string): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: apiVersionOf(of),
    kind: of.kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

/** Equal events within this many distinct ones are counted instead of repeated (client-go's maxLruCacheEntries). */
const rememberedEvents = 4096;

/** So many different messages of one reason about one object are told apart (client-go's defaultAggregateMaxEvents). */
const similarLimit = 10;

/** After such a pause similar events are told apart again, in ms (client-go's defaultAggregateIntervalInSeconds). */
const similarPauseMs = 600_000;

/** Events under way at most; beyond them the newest are dropped: nothing may pile up while no API answers. */
const maxRunning = 4000;

/** One event about one object, however often it was recorded. */
interface Entry {
  name: string;
  count: number;
  /** Its sending so far. */
  last: Promise<void>;
}

/**
 * A recorder of core/v1 Events. The same event about the same object raises `count` and `lastTimestamp` of the first
 * one, as client-go's correlator does.
 * @param deps `rate`: how many are sent, as upstream's of kubelet and scheduler unless given
 */
export function createEventRecorder(
  client: Client,
  source: EventSource,
  deps: { readonly log: Logger; readonly now?: () => Date; readonly rate?: EventRate },
): EventRecorder {
  const now = deps.now ?? (() => new Date());
  const entries = new Entries();
  const similar = new Similar();
  const pace = new EventPace(deps.rate);
  const running = new Set<Promise<void>>();
  let dropping = false;

  const hasRoom = (): boolean => {
    const full = running.size >= maxRunning;
    if (full && !dropping) deps.log.warn("Events are dropped: too many are under way", { limit: maxRunning });
    dropping = full;
    return !full;
  };

  const event: EventRecorder["event"] = (about, type, reason, text) => {
    if (!hasRoom()) return;
    const time = now();
    const combined = similar.isOne(about, [type, reason], text, time);
    const message = combined ? `(combined from similar events): ${text}` : text;
    const entry = entries.take(about, combined ? [type, reason] : [type, reason, text], time);
    const { name, count } = entry;
    const body = eventBody(source, about, { type, reason, message, name, count, time });
    const work: Promise<void> = Promise.all([entry.last, pace.due()])
      .then(() => send(client, body))
      .catch((error: unknown) => {
        deps.log.debug("Event was not recorded", { reason, about: about.name, error: errorMessage(error) });
      })
      .finally(() => running.delete(work));
    entry.last = work;
    running.add(work);
  };

  return {
    event,
    flush: async () => {
      pace.release();
      await Promise.all(running);
    },
  };
}

/** The events that were recorded last. */
class Entries {
  readonly #byKey = new Map<string, Entry>();
  #sequence = 0;

  /** The entry of an event, counted once more. */
  take(about: ObjectReference, what: readonly string[], time: Date): Entry {
    const key = keyOfEvent(about, what);
    const entry = this.#byKey.get(key) ?? { name: this.#nameOf(about, time), count: 0, last: Promise.resolve() };
    entry.count++;
    remember(this.#byKey, key, entry);
    return entry;
  }

  #nameOf(about: ObjectReference, time: Date): string {
    return `${about.name}.${((BigInt(time.getTime()) << 20n) + BigInt(this.#sequence++ & 0xfffff)).toString(16)}`;
  }
}

function keyOfEvent({ kind, namespace, name, uid, fieldPath }: ObjectReference, what: readonly string[]): string {
  return JSON.stringify([kind, namespace, name, uid, fieldPath, ...what]);
}

/** Puts a value last; the oldest are forgotten. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > rememberedEvents) map.delete(map.keys().next().value ?? "");
}

/**
 * Messages of one reason about one object that differ: when there are many, as when each names another pod, they are
 * counted as one event (client-go's EventAggregator).
 */
class Similar {
  readonly #byKey = new Map<string, { readonly messages: Set<string>; last: number }>();

  /** Whether an event is one of many similar ones. */
  isOne(about: ObjectReference, what: readonly string[], message: string, time: Date): boolean {
    const key = keyOfEvent(about, what);
    const at = time.getTime();
    const known = this.#byKey.get(key);
    const record = known && at - known.last <= similarPauseMs ? known : { messages: new Set<string>(), last: at };
    record.last = at;
    record.messages.add(message);
    remember(this.#byKey, key, record);
    if (record.messages.size < similarLimit) return false;
    record.messages.delete(record.messages.values().next().value ?? "");
    return true;
  }
}

async function send(client: Client, body: Event): Promise<void> {
  const { name, namespace } = body.metadata;
  const { count, lastTimestamp, message } = body;
  if ((count ?? 1) > 1) {
    try {
      await client.patch(resources.events, name, namespace, { count, lastTimestamp, message }, { type: "merge" });
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error; // the first one has expired: a new one begins
    }
  }
  await client.create(resources.events, body);
}

function eventBody(
  source: EventSource,
  about: ObjectReference,
  what: { type: "Normal" | "Warning"; reason: string; message: string; name: string; count: number; time: Date },
): Event {
  // core/v1 event times have whole seconds on the wire.
  const timestamp = what.time.toISOString().replace(/\.\d+Z$/, "Z");
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: what.name, namespace: about.namespace ?? "default" },
    involvedObject: about,
    type: what.type,
    reason: what.reason,
    message: what.message.slice(0, 1024),
    source,
    firstTimestamp: timestamp,
    lastTimestamp: timestamp,
    count: what.count,
    reportingComponent: source.component,
    reportingInstance: source.host ?? "",
  };
}
