import { rmSync, symlinkSync } from "node:fs";
import type { Pod } from "#api/index.ts";
import { hasCode } from "#base/errors.ts";
import { containerLogLink, type LogFolders } from "../logs/index.ts";

/** Makes the link by which log collectors find a container's log. */
export function linkLog(
  folders: LogFolders,
  pod: Pod,
  container: string,
  run: { readonly id: string; readonly logPath: string },
): void {
  try {
    symlinkSync(run.logPath, containerLogLink(folders, pod, container, run.id));
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

/** Removes it. */
export function unlinkLog(folders: LogFolders, pod: Pod, container: string, id: string): void {
  rmSync(containerLogLink(folders, pod, container, id), { force: true });
}
