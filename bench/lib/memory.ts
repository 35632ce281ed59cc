import { readFileSync } from "node:fs";
import { processName, processTree, proportionalSize } from "./processes.ts";

/** Fields of /proc/meminfo that grow with processes, namespaces and devices. The machine's: others count in them too. */
const KERNEL = ["Slab", "KernelStack", "PageTables", "Percpu"];

/** What a cluster takes of memory, in kB: its processes by program, and the kernel for all of the machine. */
export interface ClusterMemory {
  readonly totalKb: number;
  readonly rows: readonly (readonly string[])[];
  /** What has been added since, divided by a number of pods. */
  since(before: ClusterMemory, pods: number): ClusterMemory;
}

/** @param pid first process of the cluster */
export function clusterMemory(pid: number): ClusterMemory {
  const parts = new Map<string, number>();
  const add = (name: string, kb: number): unknown => parts.set(name, (parts.get(name) ?? 0) + kb);
  for (const process of processTree(pid)) add(processName(process) || "(kernel)", proportionalSize(process));
  const info = readFileSync("/proc/meminfo", "utf8");
  for (const field of KERNEL) add(`kernel: ${field}`, Number(new RegExp(`^${field}: +(\\d+) kB`, "m").exec(info)?.[1]));
  return memoryOf(parts);
}

function memoryOf(parts: ReadonlyMap<string, number>): ClusterMemory & { readonly parts: ReadonlyMap<string, number> } {
  const rows = [...parts].filter(([, kb]) => Math.abs(kb) >= 1).sort(([, a], [, b]) => b - a);
  return {
    parts,
    totalKb: [...parts.values()].reduce((sum, kb) => sum + kb, 0),
    rows: rows.map(([name, kb]) => [name, `${kb.toFixed(0)} kB`]),
    since: (before, pods) => {
      const earlier = (before as ReturnType<typeof memoryOf>).parts;
      return memoryOf(new Map([...parts].map(([name, kb]) => [name, (kb - (earlier.get(name) ?? 0)) / pods])));
    },
  };
}
