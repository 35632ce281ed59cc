import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Child, Spawner } from "#kernel/process/index.ts";
import type { ProcessSpec, ProcessState } from "./protocol.ts";

const FIRST_DELAY_MS = 20;
/** Clients of a listener that outlives its process give up a TLS handshake after 10 s (Go's net/http). */
const MAX_DELAY_MS = 5_000;
/** A process that ran for this long starts over with the first delay. */
const STEADY_MS = 10_000;

/** What a supervised process needs of its surroundings. */
export interface Surroundings {
  readonly spawner: Spawner;
  /** pidfd of the init of the machine to run in. */
  readonly pidfd: number;
  /** Folder of the control group to be in; absent: the engine's. */
  readonly cgroup?: string;
  /** The log file as we see it. */
  readonly log: string;
  /** Descriptors it gets as 3, 4, …. */
  readonly descriptors: readonly number[];
  readonly report: (state: ProcessState) => void;
}

/** The last line of a log, after a colon: a process that ends by itself says why there. */
function lastWords(path: string): string {
  const fd = openSync(path, "r");
  try {
    const tail = Buffer.alloc(2048);
    const { size } = fstatSync(fd);
    const length = readSync(fd, tail, 0, tail.length, Math.max(0, size - tail.length));
    const line = tail.toString("utf8", 0, length).trimEnd().split("\n").at(-1);
    return line ? `: ${line}` : "";
  } finally {
    closeSync(fd);
  }
}

/** Keeps one process running: starts it inside its machine, and again with growing delays whenever it ends. */
export class Supervised {
  readonly #spec: ProcessSpec;
  readonly #around: Surroundings;
  #child: Child | undefined;
  #restarts = 0;
  #delay = FIRST_DELAY_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(spec: ProcessSpec, around: Surroundings) {
    this.#spec = spec;
    this.#around = around;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** Starts the process. @throws SysError when it cannot be executed */
  async start(): Promise<void> {
    const { spec, around } = { spec: this.#spec, around: this.#around };
    const log = openSync(around.log, "a", 0o644);
    try {
      const child = await around.spawner.spawn({
        argv: spec.argv,
        env: spec.env,
        stdio: [null, log, log, ...around.descriptors],
        join: [{ pidfd: around.pidfd }],
        ...(around.cgroup === undefined ? {} : { cgroup: around.cgroup }),
      });
      this.#child = child;
      const since = performance.now();
      this.#report("running", child.pid);
      void child.exit.then(({ signal, code }) =>
        this.#ended(since, signal === null ? `exit code ${code}${lastWords(around.log)}` : `signal ${signal}`),
      );
    } finally {
      closeSync(log);
    }
  }

  /** Sends a signal to the process. */
  signal(signal: number): void {
    this.#child?.kill(signal);
  }

  /** Does not start it again; its end is somebody else's business. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#report("stopped", 0);
  }

  #ended(since: number, reason: string): void {
    this.#child = undefined;
    if (this.#stopped) return;
    if (performance.now() - since > STEADY_MS) this.#delay = FIRST_DELAY_MS;
    this.#restarts++;
    this.#report("restarting", 0, reason);
    this.#timer = setTimeout(() => {
      this.start().catch((error: unknown) => this.#ended(performance.now(), String(error)));
    }, this.#delay);
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
  }

  #report(state: ProcessState["state"], pid: number, reason?: string): void {
    const { name, machine } = this.#spec;
    this.#around.report({
      name,
      machine,
      state,
      pid,
      restarts: this.#restarts,
      ...(reason === undefined ? {} : { reason }),
    });
  }
}
