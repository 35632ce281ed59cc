import { chmodSync, closeSync, constants, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode } from "#base/errors.ts";
import { check, isErrno, libc, O, syscallNumbers } from "#kernel/ffi/index.ts";

/** linux/openat2.h: no magic links of /proc; nothing on the way, links and `..` included, leads out of the folder. */
const RESOLVE = { NO_MAGICLINKS: 0x02, BENEATH: 0x08 } as const;
/** struct open_how: flags, mode and resolve, of 64 bits each. */
const HOW_SIZE = 24;
/** While somebody renames things on the way of a path with `..`, the kernel asks to try again. */
const ATTEMPTS = 16;

function openat2(folder: number, path: string): number {
  const how = Buffer.alloc(HOW_SIZE);
  how.writeBigUInt64LE(BigInt(O.PATH | O.CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE.NO_MAGICLINKS | RESOLVE.BENEATH), 16);
  for (let attempt = 1; ; attempt++) {
    try {
      return check(libc.syscallOpenat2(syscallNumbers().openat2, folder, path, how, HOW_SIZE), "openat2", path);
    } catch (error) {
      if (!isErrno(error, "EAGAIN") || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Opens what a path means in a folder to which others write, whatever links they put on its way at this moment
 * (openat2(2), Linux 5.6 and newer).
 * @param root the folder; links of its own path are followed
 * @param path relative
 * @returns a descriptor that stands for the place (O_PATH); the caller closes it
 * @throws SysError EXDEV for a path that leads out of the folder
 */
export function openBeneath(root: string, path: string): number {
  const folder = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return openat2(folder, path);
  } finally {
    closeSync(folder);
  }
}

/**
 * Makes a folder where a path of such a folder means nothing yet, with those above it, for whom the outermost is.
 * @throws SysError as openBeneath(); an Error of Node's when a part of the path is no folder
 */
export function makeBeneath(root: string, path: string): void {
  if (isThere(root, path)) return;
  const above = dirname(path);
  if (above !== ".") makeBeneath(root, above);
  const parent = openBeneath(root, above);
  try {
    // The last part of a path is never followed by mkdir(2), and the folder above is held.
    mkdirSync(`/proc/self/fd/${parent}/${path.slice(path.lastIndexOf("/") + 1)}`);
  } catch (error) {
    if (hasCode(error, "EEXIST")) return;
    throw error;
  } finally {
    closeSync(parent);
  }
  const made = openBeneath(root, path);
  // mkdir(2) takes the umask off.
  chmodSync(`/proc/self/fd/${made}`, statSync(root).mode & 0o7777);
  closeSync(made);
}

function isThere(root: string, path: string): boolean {
  try {
    closeSync(openBeneath(root, path));
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
