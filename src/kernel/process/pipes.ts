import { check, libc, O } from "#kernel/ffi/index.ts";

/** Both ends of a pipe; the caller closes them. */
export interface PipeEnds {
  readonly read: number;
  readonly write: number;
}

/** pipe2(2); neither end is inherited by programs that are executed. @throws SysError */
export function makePipe(): PipeEnds {
  const ends = Buffer.alloc(8);
  check(libc.pipe2(ends, O.CLOEXEC), "pipe2");
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}

/**
 * A named pipe (fifo(7)). Opened for reading and writing by the process that writes to it, it keeps what was written
 * while nobody reads: a reader that dies breaks nothing.
 * @throws SysError EEXIST when the path is taken
 */
export function makeFifo(path: string): void {
  check(libc.mkfifo(path, 0o666), "mkfifo", path);
}
