import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode } from "./errors.ts";

/**
 * Makes a folder for its owner alone (0700), and those above it. mkdirSync's own way of that never returns where a
 * folder cannot hold others, as in /proc (Node 24.21).
 * @throws Error of the system call, naming the path
 */
export function makeFolder(path: string): void {
  const parent = dirname(path);
  if (!existsSync(parent)) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}
