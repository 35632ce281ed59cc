/** What Node's fs does not do with files. */
import { check, libc } from "#kernel/ffi/index.ts";

export { removeTree } from "./removeTree.ts";

/** S_IFCHR of mknod(2). */
const CHARACTER = 0o020000;
/** S_IFIFO of mknod(2). */
const FIFO = 0o010000;

/** A path as bytes with a closing NUL. */
function cString(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.alloc(1)]);
}

/**
 * lsetxattr(2): sets an extended attribute of a file, not of what a link points to.
 * @throws SysError
 */
export function setXattr(path: Buffer, name: string, value: Buffer): void {
  check(libc.lsetxattr(cString(path), name, value, value.length, 0), "setxattr", `${name} of ${path.toString()}`);
}

/**
 * Makes a whiteout of overlayfs: a character device 0:0, which needs no privilege (Linux 5.8 and newer).
 * @throws SysError
 */
export function makeWhiteout(path: Buffer): void {
  check(libc.mknod(cString(path), CHARACTER, 0), "mknod", path.toString());
}

/** Makes a named pipe. @throws SysError */
export function makeNamedPipe(path: Buffer, mode: number): void {
  check(libc.mknod(cString(path), FIFO | mode, 0), "mkfifo", path.toString());
}
