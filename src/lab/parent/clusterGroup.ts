import { chownSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, hasCode, PodwireError } from "#base/errors.ts";
import { controllersOf, enableControllers, makeGroup, processesIn, removeGroup } from "#kernel/cgroups/index.ts";
import { machineLeaf } from "#lab/machine/index.ts";
import { planIds, ROOT_LAB_IDS } from "#lab/stage/index.ts";
import { confineDevices } from "./devices.ts";
import { GroupGuard, GUARD } from "./groupGuard.ts";
import { CONTROLLERS, foundGroup, foundPlaces } from "./groupPlaces.ts";

/** Files that are handed over with a group (cgroup-v2, Model of Delegation). */
const HANDED = ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];
const NAME = /^podwire-(\d+)$/;
/** How often something is tried again that comes about by itself, and how long between, in ms. */
const ATTEMPTS = 500;
const PAUSE_MS = 20;

/**
 * What is enabled in a group for a cluster's sake, and disabled at its end.
 * @param offered controllers of the group
 * @param before text of its cgroup.subtree_control before (cgroup-v2)
 */
export function newlyEnabled(offered: readonly string[], before: string): string[] {
  const enabled = before.split(/\s+/);
  return CONTROLLERS.filter((name) => offered.includes(name) && !enabled.includes(name));
}

/**
 * The control group of a cluster, where this process is in one that is delegated to it (cgroup-v2: processes are in
 * leaves alone):
 *
 *     own group ── podwire-PID ─┬─ lab       the engine, what runs on machines beside pods
 *                               ├─ parent    this process, when it had to leave its group
 *                               ├─ podwire-guard  of a privileged cluster: see GroupGuard
 *                               └─ node01 …  made by the engine, each the node's own
 */
export class ClusterGroup {
  readonly #own: string;
  readonly folder: string;
  /** What was enabled for it in its parent. */
  readonly #added: readonly string[];
  readonly #moved: boolean;
  readonly #guard: GroupGuard | undefined;

  private constructor(own: string, folder: string, { added, moved }: Division, guard?: GroupGuard) {
    this.#own = own;
    this.folder = folder;
    this.#added = added;
    this.#moved = moved;
    this.#guard = guard;
  }

  /**
   * Makes the group, and removes those of clusters that were killed.
   * @param own default: the group that this process is in
   * @returns undefined where this machine delegates nothing
   */
  static take(own = foundGroup()): ClusterGroup | undefined {
    if (own === undefined || !controllersOf(own).some((name) => CONTROLLERS.includes(name))) return undefined;
    const folder = join(own, `podwire-${process.pid}`);
    try {
      sweep(own);
      makeGroup(folder, {});
      const division = divide(own, folder);
      makeGroup(join(folder, "lab"), {});
      handOver(folder);
      return new ClusterGroup(own, folder, division);
    } catch {
      // Not ours, or others are in it.
      removeGroup(folder);
      return undefined;
    }
  }

  /**
   * Makes the group of a privileged cluster, which always has one, and which a guard removes when this process is
   * killed. Limits bind where groups can be divided: below the own group, else below the highest one.
   * @param places of groups, in which it may be made; default: the own and the highest
   * @throws PodwireError "NoControlGroup"
   */
  static async takePrivileged(places = foundPlaces()): Promise<ClusterGroup> {
    let why = "there are none";
    for (const { parent, isShared } of places) {
      const folder = join(parent, `podwire-${process.pid}`);
      const guard = new GroupGuard(folder, parent);
      try {
        sweep(parent);
        makeGroup(folder, {});
        confineDevices(folder);
        makeGroup(join(folder, GUARD), {});
        guard.settle();
        const division = isShared ? { added: [], moved: false } : divide(parent, folder);
        guard.note(division.added);
        makeGroup(join(folder, "lab"), {});
        return new ClusterGroup(parent, folder, division, guard);
      } catch (error) {
        why = errorMessage(error);
        await guard.dismiss();
        removeGroup(join(folder, GUARD));
        removeGroup(folder);
      }
    }
    const needs = "it needs control groups of version 2 (cgroup2), in which root may make one with a program (bpf)";
    throw new PodwireError("NoControlGroup", `--privileged is not possible: ${needs}: ${why}`);
  }

  /**
   * Brings the lab's processes into their leaf, so that machines can get groups beside it.
   * @param pid of the lab's process that makes its namespaces: its groups begin with the folder, where it is until now
   * @throws PodwireError
   */
  async settle(pid: number): Promise<void> {
    const ours = readlinkSync("/proc/self/ns/cgroup");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (namespaceOf(pid) !== ours && this.#moveAll()) return;
      await sleep(PAUSE_MS);
    }
    throw new PodwireError("GroupBusy", `the control group ${this.folder} could not be divided`);
  }

  #moveAll(): boolean {
    for (const pid of processesIn(this.folder)) move(pid, join(this.folder, "lab"));
    // One may have come meanwhile, which the kernel refuses only where there is something to enable.
    if (processesIn(this.folder).length > 0) return false;
    try {
      enableControllers(this.folder, CONTROLLERS);
      return true;
    } catch {
      return false;
    }
  }

  /** The group of what runs on a machine beside pods, in a privileged cluster. */
  leafOf(machine: string): string {
    return machineLeaf(join(this.folder, machine));
  }

  /** Removes it; the lab has ended. Killed meanwhile, this process leaves the rest of it to the guard. */
  async release(): Promise<void> {
    const inner = () => readdirSync(this.folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const others = () => inner().filter(({ name }) => name !== "parent" && name !== GUARD);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      for (const { name } of others()) removeGroup(join(this.folder, name));
      if (others().length === 0) break;
      await sleep(PAUSE_MS);
    }
    try {
      disable(this.folder, CONTROLLERS);
      disable(this.#own, this.#added);
      if (this.#moved) move(process.pid, this.#own);
    } catch {
      // Another cluster needs them still.
    }
    await this.#guard?.dismiss();
    removeGroup(this.folder);
  }
}

/** What was changed in a group for the sake of one in it. */
interface Division {
  /** What was enabled. */
  readonly added: readonly string[];
  /** This process had to leave it. */
  readonly moved: boolean;
}

/** @throws Error EBUSY when others are in it, EACCES */
function divide(own: string, folder: string): Division {
  const before = readFileSync(join(own, "cgroup.subtree_control"), "latin1");
  const moved = enableOrLeave(own, folder);
  return { added: newlyEnabled(controllersOf(own), before), moved };
}

/**
 * Whether a group could be divided when one process has left it.
 * @param error of an attempt to enable controllers
 * @param processes those in the group; 0 stands for one that is not seen
 */
export function isAloneInTheWay(error: unknown, processes: readonly number[], self: number): boolean {
  return hasCode(error, "EBUSY") && processes.every((pid) => pid === self);
}

/** @returns whether this process had to leave the group @throws Error EBUSY when others are in it, EACCES */
function enableOrLeave(own: string, folder: string): boolean {
  try {
    enableControllers(own, CONTROLLERS);
    return false;
  } catch (error) {
    if (!isAloneInTheWay(error, processesIn(own), process.pid)) throw error;
  }
  const parent = join(folder, "parent");
  mkdirSync(parent);
  move(process.pid, parent);
  try {
    enableControllers(own, CONTROLLERS);
    return true;
  } catch (error) {
    move(process.pid, own);
    rmdirSync(parent);
    throw error;
  }
}

/** Root's labs run as other ids. */
function handOver(folder: string): void {
  if (planIds().kind !== "root") return;
  const { first } = ROOT_LAB_IDS;
  for (const path of [folder, join(folder, "lab")])
    for (const name of HANDED) chownSync(join(path, name), first, first);
}

/** Groups of clusters whose first process was killed. */
function sweep(own: string): void {
  for (const name of readdirSync(own)) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && namespaceOf(Number(pid)) === undefined) removeGroup(join(own, name));
  }
}

/** Undefined when the process has ended. */
function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/cgroup`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? undefined : "";
  }
}

function move(pid: number, folder: string): void {
  try {
    writeFileSync(join(folder, "cgroup.procs"), String(pid), { flag: "r+" });
  } catch (error) {
    // It has ended.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function disable(folder: string, names: readonly string[]): void {
  const text = readFileSync(join(folder, "cgroup.subtree_control"), "latin1").split(/\s+/);
  const enabled = names.filter((name) => text.includes(name)).map((name) => `-${name}`);
  if (enabled.length > 0) writeFileSync(join(folder, "cgroup.subtree_control"), enabled.join(" "), { flag: "r+" });
}
