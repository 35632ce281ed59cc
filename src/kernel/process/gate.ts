import { readSync, writeSync } from "node:fs";
import { check, isErrno, libc, O } from "#kernel/ffi/index.ts";
import { decodeReport, encodeScript, REPORT_SIZE, type Step, type StepFailure } from "./script.ts";

/** Descriptors of the runner (runner.ts): what it reads, where it reports, itself. */
const SCRIPT = 9;
const REPORT = 8;
const RUNNER = 10;
/** A descriptor that the runner is handed for a step of its own. */
export const HANDED = 11;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** The first steps of every script: what is the runner's own goes with its replacement. */
const OWN_DESCRIPTORS: readonly Step[] = [
  { call: "close", args: [RUNNER] },
  { call: "fcntl", args: [REPORT, F_SETFD, FD_CLOEXEC] },
  { call: "fcntl", args: [SCRIPT, F_SETFD, FD_CLOEXEC] },
];
/** A step by which a script tells that it has come so far. */
const ARRIVED: Step = { call: "write", args: [REPORT, "!", 1] };

function pipe(): [number, number] {
  const ends = Buffer.alloc(8);
  check(libc.pipe2(ends, O.CLOEXEC), "pipe2");
  return [ends.readInt32LE(0), ends.readInt32LE(4)];
}

/** linux/prctl.h, signal(7), rt_sigaction(2): a handler of 1 ignores the signal, and no zombies come about. */
const PR_SET_NAME = 15;
const SIGCHLD = 17;
const SIG_IGN = 1;
const SIGNAL_SET_SIZE = 8;

/** The last steps of a process that stays in the runner. @param name as `ps` shows it @param rights what it gives up */
export function holdingSteps(name: string, rights: readonly Step[]): Step[] {
  const action = Buffer.alloc(32);
  action.writeBigUInt64LE(BigInt(SIG_IGN));
  return [
    ...rights,
    { call: "prctl", args: [PR_SET_NAME, name, 0, 0, 0] },
    { call: "rtSigaction", args: [SIGCHLD, action, 0, SIGNAL_SET_SIZE] },
    { call: "close", args: [SCRIPT] },
    // Who started it waits for the end of its reports.
    { call: "close", args: [REPORT] },
    { call: "ppoll", args: [0, 0, 0, 0, SIGNAL_SET_SIZE], optional: true },
  ];
}

/** A process that waits in the runner: what holds it up, and tells it how to go on. */
export class Gate {
  readonly #script = pipe();
  readonly #report = pipe();
  readonly #open = new Set([...this.#script, ...this.#report]);
  readonly #runner: number;

  /** @param runner descriptor of the runner's file */
  constructor(runner: number) {
    this.#runner = runner;
  }

  /** Pairs [descriptor of ours, descriptor of the child] that the runner has to be started with. */
  get descriptors(): [number, number][] {
    return [
      [this.#report[1], REPORT],
      [this.#script[0], SCRIPT],
      [this.#runner, RUNNER],
    ];
  }

  /** The runner's file as the child can execute it. @param proc where a procfs is that knows the child */
  static path(proc: string): string {
    return `${proc}/self/fd/${RUNNER}`;
  }

  /** The runner has been started: its ends are its own. */
  started(): void {
    this.#close(this.#script[0]);
    this.#close(this.#report[1]);
  }

  /** Has the runner make these steps and wait for more. @returns the step that failed */
  advance(steps: readonly Step[]): StepFailure | undefined {
    return this.#send([...steps, ARRIVED]);
  }

  /** Has the runner make these steps, the last of which replaces it. @returns the step that failed */
  finish(steps: readonly Step[]): StepFailure | undefined {
    return this.#send([...OWN_DESCRIPTORS, ...steps]);
  }

  /** Closes all ends; a runner that waits ends then. */
  close(): void {
    for (const fd of [...this.#open]) this.#close(fd);
  }

  #close(fd: number): void {
    if (this.#open.delete(fd)) libc.close(fd);
  }

  /** Its end without a report is that of the runner being replaced; who needs to tell the two apart waits for it. */
  #send(steps: readonly Step[]): StepFailure | undefined {
    try {
      writeAll(this.#script[1], encodeScript(steps));
    } catch (error) {
      // Its reader has ended; why may have been reported.
      if (!isErrno(error, "EPIPE")) throw error;
    }
    const report = Buffer.alloc(REPORT_SIZE);
    const length = readSync(this.#report[0], report);
    return length === REPORT_SIZE ? decodeReport(report, steps) : undefined;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
