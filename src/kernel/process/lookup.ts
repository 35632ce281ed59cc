import { statSync } from "node:fs";
import { posix } from "node:path";

/** What execvp(3) looks in when the environment has no PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

type Finding = "program" | "nothing" | "no program";

function look(path: string): Finding {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return "nothing";
  return stat.isFile() && (stat.mode & 0o111) !== 0 ? "program" : "no program";
}

/**
 * Path of a program in the calling thread's root, looked for as execvp(3) does.
 * @throws Error in the words of runc, which people know
 */
export function findProgram(name: string, env: Readonly<Record<string, string>>, cwd: string): string {
  const say = (words: string) =>
    new Error(`unable to start container process: exec: ${JSON.stringify(name)}: ${words}`);
  if (name.includes("/")) {
    const path = posix.resolve(cwd, name);
    const found = look(path);
    if (found === "nothing") throw say(`stat ${name}: no such file or directory`);
    if (found === "no program") throw say("permission denied");
    return path;
  }
  const folders = (env["PATH"] ?? DEFAULT_PATH).split(":").map((folder) => posix.resolve(cwd, folder || "."));
  const path = folders.map((folder) => `${folder}/${name}`).find((candidate) => look(candidate) === "program");
  if (path === undefined) throw say("executable file not found in $PATH");
  return path;
}
