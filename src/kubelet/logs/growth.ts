import { watch } from "node:fs";

/** A log that is being written, for those who follow it. */
export interface LogGrowth {
  /** Nothing more will be written. */
  readonly ended: boolean;
  /** Calls back when it grows or ends; gives the function that stops it. */
  onChange(listener: () => void): () => void;
}

/** A log file that others write and that never ends. */
export function fileGrowth(path: string): LogGrowth {
  return {
    ended: false,
    onChange(listener) {
      const watcher = watch(path, () => listener());
      watcher.on("error", () => listener());
      return () => watcher.close();
    },
  };
}
