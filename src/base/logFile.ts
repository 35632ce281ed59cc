import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { createLogger, type Logger } from "./log.ts";

/** A program's log that has reached this many bytes becomes its older one, `<path>.1`; the one before that is gone. */
const MAX_BYTES = 10 * 1024 * 1024;

const STDERR = 2;

/**
 * A log of its own file, which is made or gone on with. Lines are written before the call returns: what a killed
 * process said last is there. The file stays open for the life of the process.
 * @throws Error with the code of open(2)
 */
export function createFileLogger(name: string, path: string, maxBytes = MAX_BYTES): Logger {
  mkdirSync(dirname(path), { recursive: true });
  let file = openSync(path, "a", 0o644);
  let size = fstatSync(file).size;
  const write = (line: string): void => {
    if (size >= maxBytes) {
      renameSync(path, `${path}.1`);
      closeSync(file);
      file = openSync(path, "a", 0o644);
      size = 0;
    }
    size += writeSync(file, line);
  };
  return createLogger(name, { write });
}

/**
 * Opens the log that a process writes its last words to, for appending. One that is full becomes the older one first.
 * @returns the descriptor, which the caller closes
 * @throws Error with the code of open(2)
 */
export function openLastWords(path: string, maxBytes = MAX_BYTES): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= maxBytes) renameSync(path, `${path}.1`);
  return openSync(path, "a", 0o644);
}

/**
 * A log on standard error, where that may be a file which somebody else has opened for appending. Such a file is
 * copied and emptied when it is full, not renamed: what the process says last, when it crashes, comes by the same
 * descriptor. Standard error that is not this file is written to without a bound.
 * @param stderr descriptor to write to, in tests
 */
export function createStderrLogger(name: string, path: string, maxBytes = MAX_BYTES, stderr = STDERR): Logger {
  const write = (line: string): void => {
    const { size, ino, dev } = fstatSync(stderr);
    if (size >= maxBytes) {
      const named = statSync(path, { throwIfNoEntry: false });
      if (named?.ino === ino && named.dev === dev) {
        copyFileSync(path, `${path}.1`);
        ftruncateSync(stderr, 0);
      }
    }
    writeSync(stderr, line);
  };
  return createLogger(name, { write });
}
