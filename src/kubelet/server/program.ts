import { readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { resolveInside } from "#kernel/mounts/index.ts";

/** How a process of the container sees files. */
export interface ProgramView {
  /** The container's root as we see it: `/proc/PID/root`. */
  readonly root: string;
  /** Working directory inside. */
  readonly cwd: string;
  /** The variable PATH inside. */
  readonly path: string;
}

/** PATH where a container has none (as containerd's default). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ANY_EXECUTE = 0o111;

/** What the commands of a container see, whose first process this is. @throws Error when it has ended */
export function viewOf(pid: number): ProgramView {
  const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const path = variables.find((variable) => variable.startsWith("PATH="))?.slice("PATH=".length);
  return { root: `/proc/${pid}/root`, cwd: readlinkSync(`/proc/${pid}/cwd`), path: path ?? DEFAULT_PATH };
}

/**
 * Why a program cannot be started, in the words of upstream's runtime (runc: Go's exec.LookPath).
 * @returns undefined when nothing is against it
 */
export function programFault(name: string, view: ProgramView): string | undefined {
  const quoted = `exec: ${JSON.stringify(name)}`;
  if (name.includes("/")) {
    const state = stateOf(name, view);
    if (state === "missing") return `${quoted}: stat ${name}: no such file or directory`;
    if (state === "folder") return `${quoted}: is a directory`;
    return state === "file" ? `${quoted}: permission denied` : undefined;
  }
  const found = view.path
    .split(":")
    .filter((folder) => folder !== "")
    .some((folder) => stateOf(join(folder, name), view) === "program");
  return found ? undefined : `${quoted}: executable file not found in $PATH`;
}

function stateOf(path: string, { root, cwd }: ProgramView): "missing" | "folder" | "file" | "program" {
  try {
    const stats = statSync(resolveInside(root, path.startsWith("/") ? path : join(cwd, path)));
    if (stats.isDirectory()) return "folder";
    return (stats.mode & ANY_EXECUTE) === 0 ? "file" : "program";
  } catch {
    return "missing";
  }
}

/** The failure of an exec as a node with containerd and runc tells it. @param id 64 hexadecimal digits, of the exec */
export function startFailure(id: string, fault: string): string {
  return `failed to exec in container: failed to start exec ${JSON.stringify(id)}: OCI runtime exec failed: exec failed: unable to start container process: ${fault}: unknown`;
}
