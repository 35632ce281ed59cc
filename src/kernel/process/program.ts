import { statSync } from "node:fs";
import { join } from "node:path";
import { resolveInside } from "#kernel/mounts/index.ts";

/** How a process sees files. */
export interface ProgramView {
  /** Its root as we see it, without a slash at its end: "" for our own. */
  readonly root: string;
  /** Working directory inside. */
  readonly cwd: string;
  /** The variable PATH inside. */
  readonly path: string | undefined;
}

/** PATH where a process has none (containerd's default). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ANY_EXECUTE = 0o111;

/** A program cannot be started; the message is that of upstream's runtime (runc: Go's exec.LookPath). */
export class ProgramError extends Error {
  /** Symbolic errno. */
  readonly code: "ENOENT" | "EACCES" | "EISDIR";

  constructor(code: ProgramError["code"], message: string) {
    super(message);
    this.name = "ProgramError";
    this.code = code;
  }
}

/**
 * The path inside at which a program is: a name without a slash is looked up in PATH.
 * @throws ProgramError
 */
export function findProgram(name: string, view: ProgramView): string {
  const quoted = `exec: ${JSON.stringify(name)}`;
  if (name.includes("/")) {
    const state = stateOf(name, view);
    if (state === "program") return name;
    if (state === "missing") throw new ProgramError("ENOENT", `${quoted}: stat ${name}: no such file or directory`);
    if (state === "folder") throw new ProgramError("EISDIR", `${quoted}: is a directory`);
    throw new ProgramError("EACCES", `${quoted}: permission denied`);
  }
  const folders = (view.path ?? DEFAULT_PATH).split(":").filter((folder) => folder !== "");
  const found = folders.map((folder) => join(folder, name)).find((path) => stateOf(path, view) === "program");
  if (found === undefined) throw new ProgramError("ENOENT", `${quoted}: executable file not found in $PATH`);
  return found;
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
