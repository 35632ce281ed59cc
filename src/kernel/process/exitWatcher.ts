import { closeSync, readSync, writeSync } from "node:fs";
import { check, libc, O } from "#kernel/ffi/index.ts";

const POLLFD_SIZE = 8;
const POLLIN = 1;
const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
/** Offsets in siginfo_t of waitid(2) on 64-bit systems: si_code, si_status. */
const SIGINFO_CODE = 8;
const SIGINFO_STATUS = 24;
const CLD_EXITED = 1;

/** How a process ended. Both null: it was not our child (adopted), so the kernel does not tell. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: number | null;
}

interface Watched {
  readonly pidfd: number;
  readonly done: (status: ExitStatus) => void;
}

/**
 * Tells when processes end, children and others alike, from their pidfds (pidfd_open(2)).
 *
 * One poll(2) over all of them waits in libuv's thread pool; a byte in a pipe makes it start over with a changed
 * list. Node has no way to put a descriptor of this kind into its event loop.
 */
export class ExitWatcher {
  readonly #watched = new Map<number, Watched>();
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

  /** Resolves when the process of `pidfd` ends, and closes the pidfd. */
  watch(pidfd: number): Promise<ExitStatus> {
    return new Promise((resolve) => {
      this.#watched.set(pidfd, { pidfd, done: resolve });
      this.#arm();
    });
  }

  /** Stops watching; promises of processes still running stay open. Their pidfds are closed. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
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

  #arm(): void {
    if (this.#polling) this.#wake();
    else this.#poll();
  }

  #poll(): void {
    const fds = [this.#wakeOut, ...this.#watched.keys()];
    const buffer = Buffer.alloc(fds.length * POLLFD_SIZE);
    for (const [i, fd] of fds.entries()) {
      buffer.writeInt32LE(fd, i * POLLFD_SIZE);
      buffer.writeInt16LE(POLLIN, i * POLLFD_SIZE + 4);
    }
    this.#polling = true;
    libc.poll.async(buffer, fds.length, -1, () => {
      this.#polling = false;
      this.#drain();
      for (const [i, fd] of fds.entries()) if (i > 0 && buffer.readInt16LE(i * POLLFD_SIZE + 6)) this.#ended(fd);
      if (this.#stopped) this.#close();
      else if (this.#watched.size) this.#poll();
    });
  }

  #drain(): void {
    try {
      while (readSync(this.#wakeOut, Buffer.alloc(64)) === 64);
    } catch {
      // EAGAIN: nothing was written.
    }
  }

  #ended(pidfd: number): void {
    const watched = this.#watched.get(pidfd);
    this.#watched.delete(pidfd);
    const status = reap(pidfd);
    libc.close(pidfd);
    watched?.done(status);
  }

  #close(): void {
    for (const pidfd of this.#watched.keys()) libc.close(pidfd);
    this.#watched.clear();
    for (const fd of [this.#wakeIn, this.#wakeOut]) closeSync(fd);
  }
}

/** Collects the exit status of a child that has ended. */
function reap(pidfd: number): ExitStatus {
  const info = Buffer.alloc(128);
  if (libc.waitid(P_PIDFD, pidfd, info, WEXITED | WNOHANG) < 0) return { code: null, signal: null };
  const status = info.readInt32LE(SIGINFO_STATUS);
  return info.readInt32LE(SIGINFO_CODE) === CLD_EXITED
    ? { code: status, signal: null }
    : { code: null, signal: status };
}
