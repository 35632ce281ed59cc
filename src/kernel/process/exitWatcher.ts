import { libc } from "#kernel/ffi/index.ts";
import type { PollWatcher } from "./pollWatcher.ts";

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

/** Tells when processes end, children and others alike, from their pidfds (pidfd_open(2)). */
export class ExitWatcher {
  readonly #poll: PollWatcher;
  readonly #running = new Set<number>();

  /** @param poll ends after this */
  constructor(poll: PollWatcher) {
    this.#poll = poll;
  }

  /** Resolves when the process of `pidfd` ends, and closes the pidfd. */
  watch(pidfd: number): Promise<ExitStatus> {
    this.#running.add(pidfd);
    return new Promise((resolve) => {
      this.#poll.watch(pidfd, () => {
        this.#running.delete(pidfd);
        const status = reap(pidfd);
        libc.close(pidfd);
        resolve(status);
        return false;
      });
    });
  }

  /** Stops watching; promises of processes still running stay open. Their pidfds are closed. */
  stop(): void {
    for (const pidfd of this.#running) {
      this.#poll.unwatch(pidfd);
      libc.close(pidfd);
    }
    this.#running.clear();
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
