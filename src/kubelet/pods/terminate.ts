import { constants } from "node:os";
import type { Container, Pod } from "#api/index.ts";
import type { PodServers } from "./deps.ts";
import type { HealthTarget } from "./health.ts";
import { type HookReporter, hookAttempt } from "./hooks.ts";

/** First and last real-time signal as programs count them (signal(7); glibc keeps two for itself). */
const SIGRT = { MIN: 34, MAX: 64 } as const;
const SIGKILL = 9;
/** The API server's default of terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;

/** How long a pod's containers may take to end, in s: as its deletion says, else its spec. */
export function graceSecondsOf({ metadata, spec }: Pick<Pod, "metadata" | "spec">): number {
  return metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
}

/**
 * The signal by which a container is told to end (core/v1 Lifecycle.stopSignal).
 * @param ofImage what counts when it names none
 */
export function stopSignal(
  { lifecycle }: Pick<Container, "lifecycle">,
  ofImage: number = constants.signals.SIGTERM,
): number {
  const name = lifecycle?.stopSignal;
  if (name === undefined) return ofImage;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realTime) return SIGRT[realTime[1] as "MIN" | "MAX"] + Number(`${realTime[2] ?? ""}${realTime[3] ?? 0}`);
  return (constants.signals as Readonly<Record<string, number>>)[name] ?? constants.signals.SIGTERM;
}

/** A signal as containers' statuses name it (core/v1 Signal). */
export function signalName(number: number): string {
  if (number >= SIGRT.MAX) return "SIGRTMAX";
  if (number >= SIGRT.MIN) return number === SIGRT.MIN ? "SIGRTMIN" : `SIGRTMIN+${number - SIGRT.MIN}`;
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? String(number);
}

/**
 * Ends a container as Kubernetes does: preStop hook, SIGTERM, and SIGKILL when the grace period is over, which counts
 * from the beginning. Resolves when its process is gone. Never rejects.
 */
export async function terminate(
  target: HealthTarget,
  servers: Pick<PodServers, "remove">,
  graceSeconds: number,
  reporter: HookReporter,
): Promise<void> {
  const { running, container } = target;
  const deadline = setTimeout(() => running.kill(SIGKILL), graceSeconds * 1000);
  const hook = container.lifecycle?.preStop;
  const over = running.exit.then(() => {});
  if (hook && graceSeconds > 0) {
    const outcome = await Promise.race([over, hookAttempt(hook, target, graceSeconds * 1000)]);
    if (outcome && !outcome.success) reporter.event("Warning", "FailedPreStopHook", "PreStopHook failed");
  }
  await servers.remove(running.handle.id).catch(() => {
    // The serving process has ended, and its sockets with it.
  });
  running.kill(stopSignal(container, target.stopSignal));
  await running.exit;
  clearTimeout(deadline);
}
