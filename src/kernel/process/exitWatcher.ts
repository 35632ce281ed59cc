import { libc } from "#kernel/ffi/index.ts";
import type { PollWatcher } from "./pollWatcher.ts";

const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
/** Offsets in siginfo_t of waitid(2) on 64-bit systems: si_code, si_pid, si_status. */
const SIGINFO_CODE = 8;
const SIGINFO_PID = 16;
const SIGINFO_STATUS = 24;
const CLD_EXITED = 1;
/** struct pollfd: descriptor, wanted events, events that came. */
const POLLFD_SIZE = 8;
const POLLIN = 1;

/** How a process ended. Both null: it was not our child (adopted), so the kernel does not tell. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: number | null;
}

/** Tells when processes end, children and others alike, from their pidfds (pidfd_open(2)). */
export class ExitWatcher {
  readonly #poll: Pick<PollWatcher, "watch" | "unwatch">;
  readonly #running = new Set<number>();

  /** @param poll ends after this */
  constructor(poll: Pick<PollWatcher, "watch" | "unwatch">) {
    this.#poll = poll;
  }

  /** Resolves when the process of `pidfd` ends, and closes the pidfd. */
  watch(pidfd: number): Promise<ExitStatus> {
    this.#running.add(pidfd);
    return new Promise((resolve) => {
      this.#poll.watch(pidfd, () => {
        const status = reap(pidfd);
        if (!status) return true;
        this.#running.delete(pidfd);
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

/** Collects how a process has ended; undefined while it runs. */
function reap(pidfd: number): ExitStatus | undefined {
  const info = Buffer.alloc(128);
  if (libc.waitid(P_PIDFD, pidfd, info, WEXITED | WNOHANG) < 0)
    return hasEnded(pidfd) ? { code: null, signal: null } : undefined;
  if (info.readInt32LE(SIGINFO_PID) === 0) return undefined;
  const status = info.readInt32LE(SIGINFO_STATUS);
  return info.readInt32LE(SIGINFO_CODE) === CLD_EXITED
    ? { code: status, signal: null }
    : { code: null, signal: status };
}

/** Whether a process has ended that is not our child (pidfd_open(2): its descriptor can be read then). */
function hasEnded(pidfd: number): boolean {
  const buffer = Buffer.alloc(POLLFD_SIZE);
  buffer.writeInt32LE(pidfd, 0);
  buffer.writeInt16LE(POLLIN, 4);
  return libc.poll(buffer, 1, 0) > 0;
}
