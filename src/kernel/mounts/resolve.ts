import { lstatSync, readlinkSync } from "node:fs";

/** As the kernel's own limit (include/linux/namei.h, MAXSYMLINKS). */
const MAX_LINKS = 40;

/**
 * The path of a file inside a root directory that is not our `/` yet, with every symbolic link followed as a process
 * with that root would: an absolute link begins at the root, `..` never leaves it. The last parts need not exist.
 * @param root directory without a slash at its end
 * @param path absolute path inside
 * @returns absolute path as we see it; no part of it is a link at the time of the call
 * @throws Error with code ELOOP for links that lead in circles
 */
export function resolveInside(root: string, path: string): string {
  let pending = path.split("/");
  const done: string[] = [];
  for (let links = 0; pending.length; ) {
    const part = pending.shift() as string;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = [root, ...done, part].join("/");
    if (!lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink()) {
      done.push(part);
      continue;
    }
    if (++links > MAX_LINKS) throw Object.assign(new Error(`too many symbolic links in ${path}`), { code: "ELOOP" });
    const target = readlinkSync(here);
    if (target.startsWith("/")) done.length = 0;
    pending = [...target.split("/"), ...pending];
  }
  return [root, ...done].join("/");
}
