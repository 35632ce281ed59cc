import { closeSync, constants, existsSync, mkdirSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { makeFifo } from "#kernel/process/index.ts";
import type { ContainerLog, LogStream } from "../logs/index.ts";

/** Gets a container's output while it runs. */
export type OutputListener = (stream: LogStream, chunk: Buffer) => void;

/** Descriptors for a container's process; closed by the caller after the start. */
export interface ChildEnds {
  readonly stdin: number | null;
  readonly stdout: number;
  readonly stderr: number;
}

/**
 * The way between a container's standard streams and its log, and those who are attached.
 *
 * The streams are named pipes that the container holds open for reading and writing: while no node agent runs, the
 * pipe keeps 64 KiB and then makes the writer wait; nothing is lost, no SIGPIPE comes. A new agent opens them again.
 * A container with a terminal has its other end here instead, which ends with the agent.
 */
export class ContainerOutputs {
  readonly #folder: string;
  readonly #log: ContainerLog;
  readonly #listeners = new Set<OutputListener>();
  readonly #open = new Set<Promise<void>>();
  readonly #readers: Socket[] = [];
  #input: Socket | undefined;

  constructor(folder: string, log: ContainerLog) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Makes the pipes and opens the container's ends. */
  make(withInput: boolean): ChildEnds {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const open = (name: string) => {
      makeFifo(`${this.#folder}/${name}`);
      return openSync(`${this.#folder}/${name}`, constants.O_RDWR);
    };
    return { stdin: withInput ? open("stdin") : null, stdout: open("stdout"), stderr: open("stderr") };
  }

  /** Reads what the container writes from now on, into the log. For a new container and for an adopted one. */
  connect(): void {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    for (const stream of ["stdout", "stderr"] as const) {
      const path = `${this.#folder}/${stream}`;
      if (!existsSync(path)) continue;
      this.#read(stream, new Socket({ fd: openSync(path, flags), readable: true, writable: false }));
    }
    const path = `${this.#folder}/stdin`;
    if (!existsSync(path)) return;
    this.#input = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: false, writable: true });
    this.#input.on("error", () => {});
  }

  /** Takes our end of the container's terminal. */
  connectTerminal(pty: number): void {
    const terminal = new ReadStream(pty);
    this.#input = terminal;
    this.#read("stdout", terminal);
  }

  /** Whether the container reads what is written here. */
  get input(): Socket | undefined {
    return this.#input;
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
    for (const reader of this.#readers) reader.destroy();
    this.#input?.destroy();
    this.#log.end();
  }

  #read(stream: LogStream, reader: Socket): void {
    this.#readers.push(reader);
    const ended = new Promise<void>((resolve) => {
      reader.on("close", () => resolve());
    });
    this.#open.add(ended);
    reader.on("data", (chunk: Buffer) => {
      this.#log.write(stream, chunk);
      for (const listener of this.#listeners) listener(stream, chunk);
    });
    // Reading a terminal whose other end was closed gives EIO: that is its end.
    reader.on("error", () => reader.destroy());
    reader.on("end", () => reader.destroy());
  }
}

/** Closes the container's ends in this process. */
export function closeEnds({ stdin, stdout, stderr }: ChildEnds): void {
  for (const fd of [stdin, stdout, stderr]) if (fd !== null) closeSync(fd);
}
