import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How often a folder is tried again whose last process has ended, but is not yet collected; and how long between, in ms. */
const ATTEMPTS = 100;
const PAUSE_MS = 20;

/** Writes into a file of the kernel's, which is never made. @throws Error with the kernel's code */
function set(path: string, value: string): void {
  writeFileSync(path, value, { flag: "r+" });
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** What can be bounded in a group, such as "memory"; nothing where there is no group. */
export function controllersOf(folder: string): string[] {
  const path = join(folder, "cgroup.controllers");
  return existsSync(path) ? words(readFileSync(path, "latin1")) : [];
}

/**
 * Lets the groups of a folder be bounded, in what of it this machine offers.
 * @returns what they can be bounded in
 * @throws Error EBUSY when processes are in the group itself; EACCES when it is not ours
 */
export function enableControllers(folder: string, wanted: readonly string[]): string[] {
  const offered = controllersOf(folder).filter((name) => wanted.includes(name));
  const path = join(folder, "cgroup.subtree_control");
  const enabled = words(readFileSync(path, "latin1"));
  const missing = offered.filter((name) => !enabled.includes(name));
  if (missing.length > 0) set(path, missing.map((name) => `+${name}`).join(" "));
  return offered;
}

/**
 * Makes a group, or changes one that is there.
 * @param settings by the names of the kernel's files; those that this kernel does not have are left out
 */
export function makeGroup(folder: string, settings: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const [name, value] of Object.entries(settings))
    if (existsSync(join(folder, name))) set(join(folder, name), value);
}

/** Processes in a group itself, as this process sees them; 0 stands for one that it does not see. */
export function processesIn(folder: string): number[] {
  return words(readFileSync(join(folder, "cgroup.procs"), "latin1")).map(Number);
}

/** A file of lines `name number`, such as memory.events; empty when the group or the file is not there. */
export function readNumbers(path: string): Map<string, number> {
  try {
    const lines = readFileSync(path, "latin1").trim().split("\n");
    return new Map(lines.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]));
  } catch {
    return new Map();
  }
}

/** Removes a group and those in it. @returns false when there are processes in one of them, which stays */
export function removeGroup(folder: string): boolean {
  if (!existsSync(folder)) return true;
  try {
    const inner = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const isEmpty = inner.map(({ name }) => removeGroup(join(folder, name))).every(Boolean);
    if (!isEmpty) return false;
    rmdirSync(folder);
    return true;
  } catch {
    // Another one may have removed it in between.
    return !existsSync(folder);
  }
}

/** Kills what is left in a group (Linux 5.14 and newer) and removes it. @returns false when it could not be removed */
export async function endGroup(folder: string): Promise<boolean> {
  try {
    set(join(folder, "cgroup.kill"), "1");
  } catch {
    // An older kernel, or the group has gone already.
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (removeGroup(folder)) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}
