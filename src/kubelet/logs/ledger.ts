import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode } from "#base/errors.ts";
import type { LogStream } from "./cri.ts";

/** Bytes of each stream. */
export type StreamBytes = Readonly<Record<LogStream, number>>;

/** What a log held, over all its files, when one was put aside. */
export interface Ledger {
  /** The file that was put aside, or is about to be. */
  readonly inode: number;
  readonly bytes: StreamBytes;
}

/** Writes it as a whole or not at all. */
export function writeLedger(path: string, ledger: Ledger): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.draft`, JSON.stringify(ledger), { mode: 0o600 });
  renameSync(`${path}.draft`, path);
}

/** Undefined when nothing was put aside yet. */
export function readLedger(path: string): Ledger | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Ledger;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
