import { readFileSync, readlinkSync, renameSync, writeFileSync } from "node:fs";
import { hasCode } from "#base/errors.ts";

/** What a container's first process was started with, and commands beside it are. */
export interface Given {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** In a container's folder, where nothing in the container reaches it. */
const FILE = "given.json";

/** Notes it, as a whole or not at all. @param folder the container's @throws Error with the kernel's code */
export function writeGiven(folder: string, { env, cwd }: Given): void {
  const path = `${folder}/${FILE}`;
  // Secrets can be in it.
  writeFileSync(`${path}.draft`, JSON.stringify({ env, cwd }), { mode: 0o600 });
  renameSync(`${path}.draft`, path);
}

/**
 * Reads it: as container runtimes, not what the process has made of it since. Programs write their title over their
 * environment (setproctitle(3)).
 * @param pid the container's process, which is asked where an older agent has noted nothing
 * @throws Error with the kernel's code when the process has ended
 */
export function readGiven(folder: string, pid: number): Given {
  try {
    return JSON.parse(readFileSync(`${folder}/${FILE}`, "utf8")) as Given;
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    const env = environmentOf(readFileSync(`/proc/${pid}/environ`, "utf8"));
    return { env, cwd: readlinkSync(`/proc/${pid}/cwd`) };
  }
}

/** @param text of /proc/PID/environ (proc_pid_environ(5)) */
function environmentOf(text: string): Record<string, string> {
  const entries = text.split("\0").filter((entry) => entry.includes("="));
  return Object.fromEntries(entries.map((e) => [e.slice(0, e.indexOf("=")), e.slice(e.indexOf("=") + 1)]));
}
