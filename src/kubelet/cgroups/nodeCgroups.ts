import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Pod } from "#api/index.ts";
import {
  controllersOf,
  enableControllers,
  endGroup,
  makeGroup,
  readNumbers,
  removeGroup,
} from "#kernel/cgroups/index.ts";
import { CLASS_GROUPS, cpuWeight, type GroupPlan, PODS_GROUP, pathOfProcess, podCpuRequest, podGroup } from "./plan.ts";

/** What is bounded where this machine can. */
const CONTROLLERS = ["cpu", "memory", "pids"];
/** The file by which a resource's limit is set. */
const LIMIT_FILES = { cpu: "cpu.max", memory: "memory.max" } as const;

/** A resource whose limits can bind. */
export type BoundResource = keyof typeof LIMIT_FILES;

/** What a group's processes have used until now. */
export interface GroupUsage {
  readonly cpuSeconds: number;
  /** Without files that nobody has looked at for long (cadvisor's working set). */
  readonly memoryBytes: number;
}

/** The group of a run of a container. */
export interface ContainerGroup {
  readonly folder: string;
  /** Whether its memory did not suffice, and the kernel has ended it for that. */
  readonly wasOutOfMemory: () => boolean;
  /** Ends what is left in it and removes it. */
  readonly end: () => Promise<void>;
}

/**
 * Control groups of a node's pods, below the group that the node was given (upstream's tree, cgroupfs driver):
 *
 *     kubepods ─┬─ pod… ── container        Guaranteed
 *               ├─ burstable ── pod… ── container
 *               └─ besteffort ── pod… ── container
 */
export class NodeCgroups {
  readonly #root: string;
  /** Resources whose limits bind here. */
  readonly bound: ReadonlySet<BoundResource>;
  /** What Burstable pods ask of the processor, in thousandths, by uid. */
  readonly #burstable = new Map<string, number>();

  readonly #pidsLimit: number | undefined;

  private constructor(root: string, bound: ReadonlySet<BoundResource>, pidsLimit: number | undefined) {
    this.#root = root;
    this.bound = bound;
    this.#pidsLimit = pidsLimit;
  }

  /**
   * Takes the group over, and removes what an earlier agent left of containers that have ended.
   * @param root the node's group, such as /sys/fs/cgroup
   * @param pidsLimit most processes and threads of a pod; absent: any number
   * @returns undefined when this node was given none
   */
  static open(root: string, pidsLimit?: number): NodeCgroups | undefined {
    if (!controllersOf(root).some((name) => CONTROLLERS.includes(name))) return undefined;
    try {
      removeGroup(join(root, PODS_GROUP));
      for (const path of ["", PODS_GROUP, ...Object.values(CLASS_GROUPS)]) {
        makeGroup(join(root, path), {});
        enableControllers(join(root, path), CONTROLLERS);
      }
    } catch {
      // Shown, but not ours.
      return undefined;
    }
    makeGroup(join(root, CLASS_GROUPS.BestEffort), { "cpu.weight": String(cpuWeight(0)) });
    const isBound = (name: BoundResource) => existsSync(join(root, PODS_GROUP, LIMIT_FILES[name]));
    return new NodeCgroups(root, new Set((["cpu", "memory"] as const).filter(isBound)), pidsLimit);
  }

  /** Makes a pod's group. @throws Error of the kernel's */
  addPod(pod: Pod): void {
    const { path, settings } = podGroup(pod, this.#pidsLimit);
    makeGroup(join(this.#root, path), settings);
    enableControllers(join(this.#root, path), CONTROLLERS);
    if (dirname(path) !== CLASS_GROUPS.Burstable) return;
    this.#burstable.set(pod.metadata.uid ?? "", podCpuRequest(pod));
    this.#weigh();
  }

  /** Removes a pod's group; its containers have ended. */
  async removePod(pod: Pod): Promise<void> {
    await endGroup(join(this.#root, podGroup(pod).path));
    if (this.#burstable.delete(pod.metadata.uid ?? "")) this.#weigh();
  }

  /** Burstable pods together weigh what they ask for (qos_container_manager_linux.go). */
  #weigh(): void {
    const sum = [...this.#burstable.values()].reduce((all, one) => all + one, 0);
    makeGroup(join(this.#root, CLASS_GROUPS.Burstable), { "cpu.weight": String(cpuWeight(sum)) });
  }

  /** Makes the group of a container that is about to start; its pod has one. @throws Error of the kernel's */
  addContainer({ path, settings }: GroupPlan): ContainerGroup {
    makeGroup(join(this.#root, path), settings);
    return this.#group(path);
  }

  /** The group of a container's process; undefined when it is in none, or has ended. */
  groupOf(pid: number): ContainerGroup | undefined {
    try {
      const path = pathOfProcess(readFileSync(`/proc/${pid}/cgroup`, "latin1"));
      return path === undefined ? undefined : this.#group(path);
    } catch {
      return undefined;
    }
  }

  #group(path: string): ContainerGroup {
    const folder = join(this.#root, path);
    return {
      folder,
      wasOutOfMemory: () => (readNumbers(join(folder, "memory.events")).get("oom_kill") ?? 0) > 0,
      end: async () => {
        await endGroup(folder);
      },
    };
  }

  /** What a container has used; undefined when it is in no group. @param pid its first process */
  usageOf(pid: number): GroupUsage | undefined {
    const folder = this.groupOf(pid)?.folder;
    if (folder === undefined || !existsSync(join(folder, "memory.current"))) return undefined;
    const micros = readNumbers(join(folder, "cpu.stat")).get("usage_usec") ?? 0;
    const inactive = readNumbers(join(folder, "memory.stat")).get("inactive_file") ?? 0;
    const current = Number(readFileSync(join(folder, "memory.current"), "latin1"));
    return { cpuSeconds: micros / 1e6, memoryBytes: Math.max(0, current - inactive) };
  }
}
