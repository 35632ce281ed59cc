import { closeSync, constants, existsSync, mkdirSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { makeFifo, type PollWatcher, Spool } from "#kernel/process/index.ts";
import type { ContainerLog, LogStream } from "../logs/index.ts";
import { OutputPump } from "./pump.ts";

/** Gets a container's output while it runs. */
export type OutputListener = (stream: LogStream, chunk: Buffer) => void;

/** Descriptors for a container's process; closed by the caller after the start. */
export interface ChildEnds {
  readonly stdin: number | null;
  readonly stdout: number;
  readonly stderr: number;
}

const STREAMS: readonly LogStream[] = ["stdout", "stderr"];
/** Most that is kept for the first client that is attached, in bytes. */
const EARLY_LIMIT = 64 << 10;

/**
 * The way between a container's standard streams and its log, and those who are attached.
 *
 * The streams are named pipes that the container holds open for reading and writing: while no node agent runs, the
 * pipe keeps 64 KiB and then makes the writer wait; no SIGPIPE comes. What comes out goes into a spool file first and
 * from there into the log, so that an agent killed at any moment loses and repeats nothing:
 *
 *     container ──▶ pipe ──splice──▶ spool ──▶ log
 *
 * A container with a terminal has its other end here instead, which ends with the agent.
 */
export class ContainerOutputs {
  readonly #folder: string;
  readonly #log: ContainerLog;
  readonly #watcher: PollWatcher;
  readonly #listeners = new Set<OutputListener>();
  readonly #open = new Set<Promise<void>>();
  readonly #closers: (() => void)[] = [];
  #input: Socket | undefined;
  /** What came before the first client, for containers that wait for one; undefined when nothing is kept (any more). */
  #early: { readonly chunks: [LogStream, Buffer][]; bytes: number } | undefined;

  constructor(folder: string, log: ContainerLog, watcher: PollWatcher) {
    this.#folder = folder;
    this.#log = log;
    this.#watcher = watcher;
  }

  /**
   * Makes the pipes and opens the container's ends.
   * @param input `once`: the container's input ends with the first client that is attached (or with the agent)
   */
  make(input: "none" | "once" | "kept"): ChildEnds {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const made: number[] = [];
    const open = (name: string) => {
      makeFifo(`${this.#folder}/${name}`);
      const fd = openSync(`${this.#folder}/${name}`, constants.O_RDWR);
      made.push(fd);
      return fd;
    };
    try {
      // The input last: of it more is opened here.
      const [stdout, stderr] = [open("stdout"), open("stderr")];
      return { stdin: this.#makeInput(input, open), stdout, stderr };
    } catch (error) {
      for (const fd of made) closeSync(fd);
      throw error;
    }
  }

  #makeInput(input: "none" | "once" | "kept", open: (name: string) => number): number | null {
    if (input === "none") return null;
    const both = open("stdin");
    if (input === "kept") return both;
    // Its end comes when the last writer closes: the container must not be one itself, but we, from the beginning.
    const path = `${this.#folder}/stdin`;
    const end = openSync(path, constants.O_RDONLY);
    this.#takeInput(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    closeSync(both);
    return end;
  }

  #takeInput(fd: number): void {
    this.#input = new Socket({ fd, readable: false, writable: true });
    this.#input.on("error", () => {});
  }

  /**
   * Reads what the container writes from now on, into the log.
   * @param logged bytes of each stream that an earlier agent has put into the log
   */
  connect(logged: Readonly<Record<LogStream, number>> = { stdout: 0, stderr: 0 }): void {
    for (const stream of STREAMS) if (existsSync(`${this.#folder}/${stream}`)) this.#spool(stream, logged[stream]);
    const path = `${this.#folder}/stdin`;
    if (!this.#input && existsSync(path)) this.#takeInput(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  }

  /** Takes our end of the container's terminal. */
  connectTerminal(pty: number): void {
    const terminal = new ReadStream(pty);
    this.#input = terminal;
    this.#closers.push(() => terminal.destroy());
    this.#open.add(new Promise((resolve) => terminal.on("close", () => resolve())));
    terminal.on("data", (chunk: Buffer) => this.#take("stdout", chunk));
    // Reading a terminal whose other end was closed gives EIO: that is its end.
    terminal.on("error", () => terminal.destroy());
    terminal.on("end", () => terminal.destroy());
  }

  /** Takes what is written for the container, if it reads. */
  get input(): Socket | undefined {
    return this.#input;
  }

  /** Keeps what the container writes before its first client, up to 64 KiB, for attach(). */
  keepEarly(): void {
    this.#early = { chunks: [], bytes: 0 };
  }

  /**
   * As onOutput(), for a client. The first one of a container that was started for it (`kubectl run -i`) also gets what
   * was written before: a short command would else end before anybody could look.
   */
  attach(listener: OutputListener): () => void {
    const early = this.#early;
    this.#early = undefined;
    for (const [stream, chunk] of early?.chunks ?? []) listener(stream, chunk);
    return this.onOutput(listener);
  }

  /** Calls back with all output from now on. Returns what ends it. */
  onOutput(listener: OutputListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** After the container's end: reads the rest, waiting at most `limitMs` for it, and closes the log. */
  async finish(limitMs = 1000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([Promise.all(this.#open), late]);
    clearTimeout(timer);
    this.close();
  }

  /** Closes our ends and the log; the container, if it runs, goes on. */
  close(): void {
    for (const closer of this.#closers.splice(0)) closer();
    this.#input?.destroy();
    this.#log.end();
  }

  #spool(stream: LogStream, logged: number): void {
    const pipe = openSync(`${this.#folder}/${stream}`, constants.O_RDONLY | constants.O_NONBLOCK);
    const spool = new Spool(`${this.#folder}/${stream}.spool`, pipe);
    const pump = new OutputPump(spool, pipe, this.#watcher, logged, (chunk) => this.#take(stream, chunk));
    this.#open.add(pump.ended);
    this.#closers.push(() => {
      pump.stop();
      spool.close();
    });
    pump.start();
  }

  #take(stream: LogStream, chunk: Buffer): void {
    this.#log.write(stream, chunk);
    const early = this.#early;
    if (early) {
      early.chunks.push([stream, chunk]);
      early.bytes += chunk.length;
      if (early.bytes > EARLY_LIMIT) this.#early = undefined;
    }
    for (const listener of this.#listeners) listener(stream, chunk);
  }
}

/** Closes the container's ends in this process. */
export function closeEnds({ stdin, stdout, stderr }: ChildEnds): void {
  for (const fd of [stdin, stdout, stderr]) if (fd !== null) closeSync(fd);
}
