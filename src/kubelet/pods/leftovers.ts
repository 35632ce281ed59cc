import type { Container, Pod } from "#api/index.ts";
import { containerLogPath, removeLog } from "../logs/index.ts";
import type { PodDeps } from "./deps.ts";
import { unlinkLog } from "./logLinks.ts";
import { removeMessageFile } from "./terminationMessage.ts";

/**
 * Deletes what the run before left, but for its log; of logs the last two are kept.
 * @param run number of the present run
 */
export function forgetPreviousRun(
  deps: Pick<PodDeps, "runtime" | "logFolders" | "podsFolder" | "log">,
  pod: Pod,
  container: Container,
  previousId: string,
  run: number,
): void {
  deps.runtime.remove(previousId).catch((error: unknown) => {
    deps.log.warn("Files of a container that has ended were not deleted", { container: previousId, error });
  });
  unlinkLog(deps.logFolders, pod, container.name, previousId);
  removeMessageFile(deps, pod, container, run - 1);
  if (run >= 2) removeLog(containerLogPath(deps.logFolders, pod, container.name, run - 2));
}
