import { check, libc, O } from "#kernel/ffi/index.ts";

/** ioctl numbers of pseudo-terminals (include/uapi/asm-generic/ioctls.h). */
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSWINSZ = 0x5414;

/** A pseudo-terminal: our end, and the other end's path in the namespace where it was made. */
export interface Pty {
  readonly master: number;
  readonly slavePath: string;
}

/**
 * Opens a new pseudo-terminal of the devpts at /dev/pts of the calling thread's mount namespace.
 * @throws SysError
 */
export function openPty(): Pty {
  const master = check(libc.open("/dev/pts/ptmx", O.RDWR | O.NOCTTY | O.CLOEXEC, 0), "open", "/dev/pts/ptmx");
  const number = Buffer.alloc(4);
  check(libc.ioctl(master, TIOCSPTLCK, Buffer.alloc(4)), "ioctl", "TIOCSPTLCK");
  check(libc.ioctl(master, TIOCGPTN, number), "ioctl", "TIOCGPTN");
  return { master, slavePath: `/dev/pts/${number.readUInt32LE(0)}` };
}

/** Sets the size of a terminal in characters; its foreground process gets SIGWINCH. @throws SysError */
export function resizePty(master: number, columns: number, rows: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  check(libc.ioctl(master, TIOCSWINSZ, size), "ioctl", "TIOCSWINSZ");
}
