import { readdirSync, readFileSync } from "node:fs";

/**
 * A file of a process; undefined when the process is gone.
 * @throws Error for any other failure: what cannot be read must not count as nothing
 */
export function readOf(pid: number | string, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (error) {
    // ESRCH: it ended between the opening and the reading.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** /proc/PID/stat: the parent follows the name, which stands in brackets and may hold anything. */
function parentOf(pid: string): number | undefined {
  const stat = readOf(pid, "stat");
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
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
  return Number(/^Pss:\s+(\d+) kB/m.exec(readOf(pid, "smaps_rollup") ?? "")?.[1] ?? 0);
}

/** What a process is: its bundle, else its program. */
export function processName(pid: number): string {
  // A process that set its own title has blanks where the kernel has zero bytes.
  const words = (readOf(pid, "cmdline") ?? "").split(/[\0 ]/);
  const bundle = words.find((word) => word.endsWith(".cjs"));
  return (
    (bundle ?? words[0] ?? "")
      .split("/")
      .pop()
      ?.replace(/\.cjs$|:$/g, "") ?? ""
  );
}

/** CPU time that a process has used so far, in ms: user and system, all threads (/proc/PID/stat, in 1/100 s). */
export function cpuMs(pid: number): number {
  return statTimes(pid, 11);
}

/** CPU time of a process's children that have ended, in ms. */
export function childrenCpuMs(pid: number): number {
  return statTimes(pid, 13);
}

/** Two neighbouring fields of /proc/PID/stat that are times, counted from the one behind the name. */
function statTimes(pid: number, field: number): number {
  const stat = readOf(pid, "stat") ?? "";
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[field]) + Number(fields[field + 1])) * 10;
}
