import { watch } from "node:fs";
import { basename, dirname } from "node:path";

/** A log that is being written, for those who follow it. */
export interface LogGrowth {
  /** Nothing more will be written. */
  readonly ended: boolean;
  /** Calls back when it grows or ends; gives the function that stops it. */
  onChange(listener: () => void): () => void;
}

/** A log file that others write and that never ends. */
export function fileGrowth(path: string): LogGrowth {
  const name = basename(path);
  return {
    ended: false,
    onChange(listener) {
      // By its folder: the file itself is put aside when it is full, and for a moment there is none of its name.
      const watcher = watch(dirname(path), (_event, changed) => {
        if (changed === name) listener();
      });
      watcher.on("error", () => listener());
      return () => watcher.close();
    },
  };
}
