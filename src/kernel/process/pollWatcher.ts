import { closeSync, readSync, writeSync } from "node:fs";
import { check, libc, O } from "#kernel/ffi/index.ts";

const POLLFD_SIZE = 8;
const POLLIN = 1;

/** One descriptor's watching. Compared by identity: a number may mean another file by the time that it is reported. */
interface Watch {
  readonly onReadable: () => boolean;
  readonly onError: (error: unknown) => void;
}

/** The fault is of one descriptor's owner, and no reason to end the process. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}

/**
 * Tells when descriptors can be read, without reading them: pidfds, which Node cannot put into its event loop, and
 * pipes, whose data Node's own sockets take out before anybody has it safe.
 *
 * One poll(2) over all of them waits in one thread of libuv's pool; a byte in a pipe makes it start over with a changed
 * list.
 */
export class PollWatcher {
  readonly #watched = new Map<number, Watch>();
  readonly #wakeOut: number;
  readonly #wakeIn: number;
  readonly #onProcessExit = (): void => this.#wake();
  #polling = false;
  #stopped = false;

  constructor() {
    const ends = Buffer.alloc(8);
    check(libc.pipe2(ends, O.CLOEXEC | O.NONBLOCK), "pipe2");
    this.#wakeOut = ends.readInt32LE(0);
    this.#wakeIn = ends.readInt32LE(4);
    // A thread of the pool that still waits would keep the process from ending.
    process.on("exit", this.#onProcessExit);
  }

  /**
   * Calls back whenever `fd` can be read or its writers are gone, until `onReadable` gives false.
   * The descriptor stays the caller's.
   * @param onError told what the call threw, after which there are no more; others are watched as before. Default: a
   *   warning of the process
   */
  watch(fd: number, onReadable: () => boolean, onError: (error: unknown) => void = warn): void {
    this.#watched.set(fd, { onReadable, onError });
    if (this.#polling) this.#wake();
    else this.#poll();
  }

  /** No more calls for `fd`; it may be closed after this. */
  unwatch(fd: number): void {
    // A poll in progress ends and starts over without it: the number may soon mean another file.
    if (this.#watched.delete(fd)) this.#wake();
  }

  /** Ends all watching. The descriptors stay their owners'. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#watched.clear();
    process.off("exit", this.#onProcessExit);
    if (this.#polling) this.#wake();
    else this.#close();
  }

  #wake(): void {
    try {
      writeSync(this.#wakeIn, "w");
    } catch {
      // A full pipe wakes as well; a closed one has nobody to wake.
    }
  }

  #poll(): void {
    const watched = [...this.#watched];
    const fds = [this.#wakeOut, ...watched.map(([fd]) => fd)];
    const buffer = Buffer.alloc(fds.length * POLLFD_SIZE);
    for (const [i, fd] of fds.entries()) {
      buffer.writeInt32LE(fd, i * POLLFD_SIZE);
      buffer.writeInt16LE(POLLIN, i * POLLFD_SIZE + 4);
    }
    this.#polling = true;
    libc.poll.async(buffer, fds.length, -1, () => {
      this.#polling = false;
      this.#drain();
      for (const [i, [fd, watch]] of watched.entries())
        if (buffer.readInt16LE((i + 1) * POLLFD_SIZE + 6)) this.#readable(fd, watch);
      if (this.#stopped) this.#close();
      else if (this.#watched.size && !this.#polling) this.#poll();
    });
  }

  #readable(fd: number, watch: Watch): void {
    const isWatched = () => this.#watched.get(fd) === watch;
    // Left out since the poll began, and maybe another file of that number is watched now.
    if (!isWatched()) return;
    let goesOn = false;
    try {
      goesOn = watch.onReadable();
    } catch (error) {
      watch.onError(error);
    }
    if (!goesOn && isWatched()) this.#watched.delete(fd);
  }

  #drain(): void {
    try {
      while (readSync(this.#wakeOut, Buffer.alloc(64)) === 64);
    } catch {
      // EAGAIN: nothing was written.
    }
  }

  #close(): void {
    for (const fd of [this.#wakeIn, this.#wakeOut]) closeSync(fd);
  }
}
