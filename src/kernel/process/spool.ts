import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { check, isErrno, libc } from "#kernel/ffi/index.ts";

const SPLICE_F_NONBLOCK = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
/** Most bytes moved at once: a pipe holds no more (pipe(7)). */
const CHUNK = 64 * 1024;
/** What was read is given back to the file system in pieces of this size. */
const HOLE = 1 << 20;

/**
 * A file that takes what comes out of a pipe, by splice(2): one system call moves data from the pipe to the file, so
 * that a process killed at any moment has it in one of the two. What was dealt with is cut out of the file's start;
 * its size keeps counting every byte that ever came.
 */
export class Spool {
  readonly #file: number;
  readonly #pipe: number;
  #size: number;
  #freed = 0;

  /** @param path the file, made when missing; @param pipe descriptor of the reading end, non-blocking, closed by close() */
  constructor(path: string, pipe: number) {
    this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#pipe = pipe;
    this.#size = fstatSync(this.#file).size;
  }

  /** Every byte that ever came. */
  get size(): number {
    return this.#size;
  }

  /** Bytes from `start` on, at most 64 KiB of them. */
  read(start: number): Buffer {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(0, this.#size - start)));
    return buffer.subarray(0, readSync(this.#file, buffer, 0, buffer.length, start));
  }

  /**
   * Moves what the pipe holds, at most 64 KiB.
   * @returns how many bytes came, 0 when there are none now, "end" when no writer is left
   * @throws SysError ENOSPC and the like
   */
  take(): number | "end" {
    const offset = Buffer.alloc(8);
    offset.writeBigInt64LE(BigInt(this.#size));
    try {
      const moved = check(libc.splice(this.#pipe, null, this.#file, offset, CHUNK, SPLICE_F_NONBLOCK), "splice");
      if (moved === 0) return "end";
      this.#size += moved;
      return moved;
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return 0;
      throw error;
    }
  }

  /** Nobody will ask for what lies before `end` again. */
  free(end: number): void {
    if (end - this.#freed < HOLE) return;
    const length = end - this.#freed;
    // A file system that cannot do this keeps the data until the file is deleted.
    if (libc.fallocate(this.#file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, this.#freed, length) === 0)
      this.#freed = end;
  }

  close(): void {
    closeSync(this.#file);
    closeSync(this.#pipe);
  }
}
