import { closeSync, openSync } from "node:fs";
import { check, libc } from "#kernel/ffi/index.ts";

/**
 * Waits until all that was written to a path's file system so far is on the disk (syncfs(2)).
 * @throws SysError when some of it could not be written; an Error when the path cannot be opened
 */
export function syncFilesystem(path: string): void {
  const fd = openSync(path, "r");
  try {
    check(libc.syncfs(fd), "syncfs", path);
  } finally {
    closeSync(fd);
  }
}
