import type { PodServers } from "./deps.ts";
import type { HealthTarget } from "./health.ts";
import { hookAttempt } from "./hooks.ts";

const SIGTERM = 15;
const SIGKILL = 9;

/**
 * Ends a container as Kubernetes does: preStop hook, SIGTERM or the image's own signal, and SIGKILL when the grace period is over, which counts
 * from the beginning. Resolves when its process is gone. Never rejects.
 */
export async function terminate(
  target: HealthTarget,
  servers: Pick<PodServers, "remove">,
  graceSeconds: number,
): Promise<void> {
  const { running, container } = target;
  const deadline = setTimeout(() => running.kill(SIGKILL), graceSeconds * 1000);
  const hook = container.lifecycle?.preStop;
  const over = running.exit.then(() => {});
  if (hook && graceSeconds > 0) await Promise.race([over, hookAttempt(hook, target, graceSeconds * 1000)]);
  await servers.remove(running.handle.id).catch(() => {
    // The serving process has ended, and its sockets with it.
  });
  running.kill(target.stopSignal ?? SIGTERM);
  await running.exit;
  clearTimeout(deadline);
}
