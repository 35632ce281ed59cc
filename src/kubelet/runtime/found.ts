import { fstatSync, openSync, readFileSync, readlinkSync, type Stats, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const SIGKILL = 9;
const WAIT_MS = 5;
const MOST_PASSES = 400;
/** Position of starttime in /proc/PID/stat behind the command's name (proc_pid_stat(5): 22). */
const START_TIME = 19;

/** Position of the mount point in a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
const MOUNT_POINT = 4;

/** A process of a container. */
interface Found {
  readonly pid: number;
  readonly isFirst: boolean;
  /**
   * It is in our user namespace, where a container without the right to cannot mount anything: one that has made a
   * namespace of its own can have a root there that looks like another container's.
   */
  readonly isOurs: boolean;
  /** In clock ticks since the machine's start. */
  readonly startTime: number;
}

async function processIds(): Promise<number[]> {
  return (await readdir("/proc")).map(Number).filter(Number.isInteger);
}

/** Whether a process is the first one of a pid namespace inside of this one. */
export function isFirstProcess(pid: number): boolean {
  const ids = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]?.split(/\s+/) ?? [];
  return ids.length >= 2 && ids.at(-1) === "1";
}

function startTimeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME]);
}

/** Which container's root a process has among its mounts, and where. */
function rootMountOf(pid: number, folder: string): { readonly id: string; readonly place: string } | undefined {
  try {
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, "latin1");
    const at = mounts.indexOf(`upperdir=${folder}/`);
    if (at < 0) return undefined;
    const line = mounts.slice(mounts.lastIndexOf("\n", at) + 1, mounts.indexOf("\n", at));
    const id = /upperdir=.*?\/([0-9a-f]{64})\//.exec(line)?.[1];
    return id === undefined ? undefined : { id, place: line.split(" ")[MOUNT_POINT] ?? "" };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/**
 * The container that a process belongs to. It is told by the process itself (its root file system is in the container's
 * folder), so that no record can be missing or about another process with the same number. What starts a container, or
 * stays beside it, may have that mounted, but not as its own root.
 */
export function containerOfProcess(pid: number, folder: string): string | undefined {
  const found = rootMountOf(pid, folder);
  return found?.place === "/" ? found.id : undefined;
}

/** Every process that has a container's root mounted anywhere: in the container, starting it, or beside it. */
export async function processesOf(folder: string): Promise<{ readonly pid: number; readonly id: string }[]> {
  return (await processIds()).flatMap((pid) => {
    const id = rootMountOf(pid, folder)?.id;
    return id === undefined ? [] : [{ pid, id }];
  });
}

function look(pid: number): Found | undefined {
  try {
    const isOurs = readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync("/proc/self/ns/user");
    return { pid, isFirst: isFirstProcess(pid), isOurs, startTime: startTimeOf(pid) };
  } catch {
    return undefined;
  }
}

/** Whether one process is rather a container's main process than another. */
function isBetter(one: Found, other: Found): boolean {
  if (one.isOurs !== other.isOurs) return one.isOurs;
  if (one.isFirst !== other.isFirst) return one.isFirst;
  return one.startTime < other.startTime;
}

/**
 * Finds the main processes of containers that run on this machine, whoever started them: the first of a pid namespace,
 * or the oldest where a pod's containers share one.
 * @param folder where containers' folders are
 * @returns container ids by process id
 */
export async function mainProcesses(folder: string): Promise<Map<number, string>> {
  const main = new Map<string, Found>();
  for (const pid of await processIds()) {
    const id = containerOfProcess(pid, folder);
    const found = id === undefined ? undefined : look(pid);
    if (id === undefined || !found) continue;
    const known = main.get(id);
    if (!known || isBetter(found, known)) main.set(id, found);
  }
  return new Map([...main].map(([id, { pid }]) => [pid, id]));
}

/**
 * Opens the mount namespace of a process. While it is open no other one gets its number, and its mounts stay.
 * @returns a descriptor, closed by the caller; undefined when the process has ended already
 */
export function openMountNamespace(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/ns/mnt`, "r");
  } catch {
    return undefined;
  }
}

async function processesInMountNamespace({ dev, ino }: Stats): Promise<number[]> {
  const isIn = (pid: number) => {
    const own = statSync(`/proc/${pid}/ns/mnt`);
    return own.dev === dev && own.ino === ino;
  };
  return (await processIds()).filter((pid) => {
    try {
      return pid !== process.pid && isIn(pid);
    } catch {
      // It has ended, or is not ours.
      return false;
    }
  });
}

/**
 * Kills what is left in a mount namespace: where processes are shared, no end of a pid namespace does it.
 * @param mountNamespace descriptor
 */
export async function killRemaining(mountNamespace: number): Promise<void> {
  const namespace = fstatSync(mountNamespace);
  await killUntilNone(() => processesInMountNamespace(namespace));
}

/**
 * Kills processes until none is found; a program that starts others while we look is seen the next time round.
 * @returns those that are left after 2 s, such as processes that wait for a disk
 */
export async function killUntilNone(find: () => Promise<readonly number[]>): Promise<readonly number[]> {
  let found = await find();
  for (let pass = 0; found.length > 0 && pass < MOST_PASSES; pass++) {
    for (const pid of found) kill(pid);
    await sleep(WAIT_MS);
    found = await find();
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, SIGKILL);
  } catch {
    // It has ended.
  }
}
