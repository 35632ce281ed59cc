import type { ContainerState, LinuxContainerUser } from "#api/index.ts";
import type { ContainerView } from "../status/containerStatus.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerIdentity } from "./security.ts";
import { signalName } from "./terminate.ts";

/** Ids of containers as status and events show them. */
export function shownId(id: string): string {
  return `podwire://${id}`;
}

/** What is known of a container. */
export interface ContainerFacts {
  readonly record: ContainerRecord | undefined;
  readonly isRunning: boolean;
  /** Why it is not running, when it waits for something. */
  readonly waiting: { readonly reason: string; readonly message?: string } | undefined;
  readonly ready: boolean;
  readonly started: boolean;
  /** Number of the signal that asks it to end. */
  readonly stopSignal: number;
}

function shownUser({ groups, ...ids }: ContainerIdentity): LinuxContainerUser {
  return { ...ids, supplementalGroups: groups };
}

function terminated(ended: ContainerRecord["ended"]): ContainerState {
  return ended ? { terminated: ended } : {};
}

/** A container as its pod's status shows it; undefined before anything has happened. */
export function containerView(facts: ContainerFacts): ContainerView | undefined {
  const { record, isRunning, waiting, stopSignal } = facts;
  if (!record) return waiting && { state: { waiting }, restartCount: 0, ready: false, started: false };
  const base = {
    restartCount: record.restartCount,
    containerId: shownId(record.id),
    image: record.image,
    imageId: record.imageId,
    ...(record.user ? { user: shownUser(record.user) } : {}),
    // What has no process gets no signals.
    ...(record.isLight ? {} : { stopSignal: signalName(stopSignal) }),
  };
  if (isRunning) {
    const state = { running: { startedAt: record.startedAt } };
    return { ...base, ready: facts.ready, started: facts.started, state, lastState: terminated(record.last) };
  }
  const still = { ...base, ready: false, started: false };
  // What waits to run again shows how it ended the last time.
  if (waiting) return { ...still, state: { waiting }, lastState: terminated(record.ended ?? record.last) };
  const state = record.ended ? terminated(record.ended) : { waiting: { reason: "ContainerCreating" } };
  return { ...still, state, lastState: terminated(record.last) };
}
