import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Client } from "./client.ts";
import { isNotFound } from "./errors.ts";
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

/**
 * How long an event waits before it is sent, in ms. Events are for people, and they come in swarms just when the
 * objects that they are about are most urgent: what waits on those goes first.
 */
const patienceMs = 500;

/** Equal events within this many distinct ones are counted instead of repeated (client-go's maxLruCacheEntries). */
const rememberedEvents = 4096;

/**
 * A recorder of core/v1 Events. The same event about the same object raises `count` and `lastTimestamp` of the first
 * one, as client-go's correlator does.
 */
export function createEventRecorder(
  client: Client,
  source: EventSource,
  deps: { readonly log: Logger; readonly now?: () => Date },
): EventRecorder {
  const now = deps.now ?? (() => new Date());
  const sent = new Map<string, { name: string; count: number; last: Promise<void> }>();
  const running = new Set<Promise<void>>();
  let sequence = 0;
  let swarm: { readonly due: Promise<void>; readonly release: () => void } | undefined;

  const beginSwarm = () => {
    const { promise: due, resolve } = Promise.withResolvers<void>();
    const release = (): void => {
      clearTimeout(timer);
      swarm = undefined;
      resolve();
    };
    const timer = setTimeout(release, patienceMs);
    return { due, release };
  };

  const send = async (entry: { name: string; count: number }, body: Event): Promise<void> => {
    const namespace = body.metadata.namespace;
    if (entry.count > 1) {
      const patch = { count: entry.count, lastTimestamp: body.lastTimestamp };
      try {
        await client.patch(resources.events, entry.name, namespace, patch, { type: "merge" });
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error; // the first one has expired: a new one begins
      }
    }
    await client.create(resources.events, body);
  };

  const event: EventRecorder["event"] = (about, type, reason, message) => {
    const time = now();
    const key = JSON.stringify([
      about.kind,
      about.namespace,
      about.name,
      about.uid,
      about.fieldPath,
      type,
      reason,
      message,
    ]);
    const entry = sent.get(key) ?? { name: "", count: 0, last: Promise.resolve() };
    entry.name ||= `${about.name}.${((BigInt(time.getTime()) << 20n) + BigInt(sequence++ & 0xfffff)).toString(16)}`;
    entry.count++;
    sent.delete(key);
    sent.set(key, entry); // the newest are last, the oldest are forgotten
    if (sent.size > rememberedEvents) sent.delete(sent.keys().next().value ?? "");
    const body = eventBody(source, about, { type, reason, message, name: entry.name, count: entry.count, time });
    const count = entry.count;
    swarm ??= beginSwarm();
    const work: Promise<void> = Promise.all([entry.last, swarm.due])
      .then(() => send({ name: entry.name, count }, body))
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
      swarm?.release();
      await Promise.all(running);
    },
  };
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
