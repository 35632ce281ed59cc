import { mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { createLogger, type Logger } from "./log.ts";

/**
 * A log of its own file, which is made or gone on with. Lines are written before the call returns: what a killed
 * process said last is there. The file stays open for the life of the process.
 * @throws Error with the code of open(2)
 */
export function createFileLogger(name: string, path: string): Logger {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, "a", 0o644);
  return createLogger(name, { write: (line) => void writeSync(file, line) });
}
