import { readdirSync, readFileSync } from "node:fs";

/** /proc/PID/stat: the parent follows the name, which stands in brackets and may hold anything. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** A process and all that descend from it, those in pid namespaces below it too. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(root);
}

/** One process' proportional set size in KiB: shared pages count by their share; 0 when it is gone. */
export function proportionalSize(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** What a process is: its bundle, else its program. */
export function processName(pid: number): string {
  try {
    // A process that set its own title has blanks where the kernel has zero bytes.
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split(/[\0 ]/);
    const bundle = words.find((word) => word.endsWith(".cjs"));
    return (
      (bundle ?? words[0] ?? "")
        .split("/")
        .pop()
        ?.replace(/\.cjs$|:$/g, "") ?? ""
    );
  } catch {
    return "";
  }
}
