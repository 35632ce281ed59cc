import type { PodServers } from "./deps.ts";
import type { HealthTarget } from "./health.ts";
import { type HookReporter, hookAttempt } from "./hooks.ts";

const SIGTERM = 15;
const SIGKILL = 9;

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
  running.kill(SIGTERM);
  await running.exit;
  clearTimeout(deadline);
}
