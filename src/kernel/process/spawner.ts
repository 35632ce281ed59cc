import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { workerFile } from "#base/entry.ts";
import { check, isErrno, libc, SysError, syscallNumbers } from "#kernel/ffi/index.ts";
import { warmThreadPool } from "#kernel/namespaces/index.ts";
import { type ExitStatus, ExitWatcher } from "./exitWatcher.ts";
import { NamespaceSpawner, type Spawned } from "./namespaceSpawner.ts";
import { PollWatcher } from "./pollWatcher.ts";
import { ProgramError } from "./program.ts";
import type { SpawnRequest } from "./request.ts";
import type { SpawnAnswer, SpawnMessage } from "./spawner.worker.ts";

const SIGTERM = 15;

/** A running process that we started or adopted. */
export interface Child {
  /** As this process's pid namespace sees it. */
  readonly pid: number;
  /** Valid until `exit` resolves. */
  readonly pidfd: number;
  /** Our end of the terminal, when the request asked for one; the caller closes it. */
  readonly pty?: number;
  /** Resolves when the process has ended and was reaped. */
  readonly exit: Promise<ExitStatus>;
  /** Sends a signal (SIGTERM by default); nothing happens when the process has ended. @throws SysError */
  kill(signal?: number): void;
}

/** How a spawner works. */
export interface SpawnerOptions {
  /**
   * `worker`: a thread of its own, so that this one is never held up. `inline`: this thread itself, for 4–9 ms a
   * process, which saves 10 MB of memory and 40 ms of start. Default: worker.
   */
  readonly thread?: "worker" | "inline";
}

/** Starts processes somewhere. */
interface Starter {
  spawn(request: SpawnRequest): Promise<Spawned>;
  stop(): Promise<void>;
}

/** Starts processes in namespaces of their own or of others, and tells when they end. */
export class Spawner {
  readonly #starter: Starter;
  /** For descriptors of the processes' owners too, so that one thread waits for all. It ends with the spawner. */
  readonly poll = new PollWatcher();
  readonly #watcher = new ExitWatcher(this.poll);

  private constructor(starter: Starter) {
    this.#starter = starter;
  }

  /** Gets ready. @throws SysError when this process may not change namespaces */
  static async start(options: SpawnerOptions = {}): Promise<Spawner> {
    // libuv's pool inherits the namespaces of the thread that first uses it: let that be now, at home.
    await warmThreadPool();
    return new Spawner(options.thread === "inline" ? inlineStarter() : await WorkerStarter.start());
  }

  /**
   * Starts a process.
   * @throws SysError naming the step that failed, such as a mount; ProgramError when the program cannot be started
   */
  async spawn(request: SpawnRequest): Promise<Child> {
    return this.#child(await this.#starter.spawn(request));
  }

  /**
   * Takes over a process that another one started, to learn of its end and to signal it.
   * @throws SysError ESRCH when there is none
   */
  adopt(pid: number): Child {
    const pidfd = check(libc.syscall3(syscallNumbers().pidfdOpen, pid, 0, 0), "pidfd_open", `pid ${pid}`);
    return this.#child({ pid, pidfd });
  }

  /** Ends it; processes go on. */
  async stop(): Promise<void> {
    this.#watcher.stop();
    this.poll.stop();
    await this.#starter.stop();
  }

  #child({ pid, pidfd, pty }: Spawned): Child {
    let ended = false;
    const exit = this.#watcher.watch(pidfd).then((status) => {
      ended = true;
      return status;
    });
    const kill = (signal = SIGTERM): void => {
      if (!ended) sendSignal(pidfd, signal);
    };
    return { pid, pidfd, exit, kill, ...(pty === undefined ? {} : { pty }) };
  }
}

function inlineStarter(): Starter {
  const spawner = new NamespaceSpawner();
  return {
    spawn: async (request) => spawner.spawn(request),
    stop: async () => spawner.close(),
  };
}

/** A worker thread, asked by messages. */
class WorkerStarter implements Starter {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: SpawnAnswer) => void>();
  #nextId = 1;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", (answer: SpawnAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.unref();
  }

  static async start(): Promise<WorkerStarter> {
    const worker = new Worker(workerFile("kernel/process/spawner.worker.ts"), { name: "spawner" });
    await once(worker, "message");
    return new WorkerStarter(worker);
  }

  async spawn(request: SpawnRequest): Promise<Spawned> {
    const id = this.#nextId++;
    this.#worker.ref();
    const answer = await new Promise<SpawnAnswer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#worker.postMessage({ id, request } satisfies SpawnMessage);
    });
    if ("spawned" in answer) return answer.spawned;
    const { name, message, code, errno, syscall } = answer.error;
    if (name === "ProgramError") throw new ProgramError(code as ProgramError["code"], message);
    if (errno === undefined || syscall === undefined) throw new Error(message);
    throw new SysError(syscall, errno, /\((.*)\)$/s.exec(message)?.[1]);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

function sendSignal(pidfd: number, signal: number): void {
  try {
    check(libc.syscall5(syscallNumbers().pidfdSendSignal, pidfd, signal, 0, 0, 0), "pidfd_send_signal");
  } catch (error) {
    // The process ended, but its end was not yet told.
    if (!isErrno(error, "ESRCH")) throw error;
  }
}
