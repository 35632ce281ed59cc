import { check, libc, O, syscallNumbers } from "#kernel/ffi/index.ts";
import type { Step } from "./script.ts";

/** ioctl numbers of pseudo-terminals (include/uapi/asm-generic/ioctls.h). */
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSWINSZ = 0x5414;
const TIOCGPTPEER = 0x5441;
const TIOCSCTTY = 0x540e;

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

/**
 * Opens the other end of a pseudo-terminal by its master (Linux 4.13): whatever is mounted over /dev/pts meanwhile.
 * @returns a descriptor, close-on-exec; the caller closes it
 * @throws SysError
 */
export function openPeer({ master, slavePath }: Pty): number {
  const flags = O.RDWR | O.NOCTTY | O.CLOEXEC;
  return check(libc.syscall3(syscallNumbers().ioctl, master, TIOCGPTPEER, flags), "ioctl", slavePath);
}

/** A step by which the first process of a session makes its standard input its controlling terminal. */
export const controlTerminal: Step = { call: "ioctl", args: [0, TIOCSCTTY, 0], detail: "TIOCSCTTY" };

/** Sets the size of a terminal in characters; its foreground process gets SIGWINCH. @throws SysError */
export function resizePty(master: number, columns: number, rows: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  check(libc.ioctl(master, TIOCSWINSZ, size), "ioctl", "TIOCSWINSZ");
}
