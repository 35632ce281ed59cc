import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { openLastWords } from "#base/logFile.ts";
import type { PodServers, ServedContainer } from "../pods/index.ts";
import { type EchoCommand, type EchoReply, onLines } from "./control.ts";

/** How to reach or start the serving process. */
export interface EchoClientOptions {
  /** Its control socket. */
  readonly socket: string;
  /** Command that starts it, without arguments. */
  readonly command: readonly string[];
  /** Its log file. */
  readonly log: string;
}

type Body<C = EchoCommand> = C extends EchoCommand ? Omit<C, "id"> : never;

/** The node agent's side of the serving process. That process is started at the first need and outlives the agent. */
export class EchoClient implements PodServers {
  readonly #options: EchoClientOptions;
  readonly #log: Logger;
  readonly #wanted = new Map<string, ServedContainer>();
  readonly #replies = new Map<number, (reply: EchoReply) => void>();
  #connection: Promise<Socket> | undefined;
  #nextId = 1;
  #stopped = false;

  constructor(options: EchoClientOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  warm(): void {
    this.#connected().catch((error: unknown) =>
      this.#log.warn("The echo process did not start", { error: errorMessage(error) }),
    );
  }

  async add(container: ServedContainer): Promise<void> {
    this.#wanted.set(container.id, container);
    await this.#call({ op: "add", container });
  }

  async remove(containerId: string): Promise<void> {
    if (!this.#wanted.delete(containerId)) return;
    await this.#call({ op: "remove", container: containerId });
  }

  async settle(): Promise<void> {
    // Without a process there is nothing to close.
    const socket = this.#connection ? await this.#connection : await tryConnect(this.#options.socket);
    if (!socket) return;
    if (!this.#connection) this.#adopt(socket);
    await this.#call({ op: "retain", containers: [...this.#wanted.keys()] });
  }

  /** Closes the connection; the process goes on serving. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const connection = await this.#connection?.catch(() => undefined);
    connection?.destroy();
  }

  async #call(body: Body): Promise<void> {
    const socket = await this.#connected();
    const id = this.#nextId++;
    const reply = await new Promise<EchoReply>((resolve) => {
      this.#replies.set(id, resolve);
      socket.write(`${JSON.stringify({ id, ...body })}\n`);
    });
    if (reply.error !== undefined) throw new Error(reply.error);
  }

  #connected(): Promise<Socket> {
    this.#connection ??= this.#open().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #open(): Promise<Socket> {
    let socket = await tryConnect(this.#options.socket);
    if (!socket) {
      await this.#startProcess();
      socket = await tryConnect(this.#options.socket);
    }
    if (!socket) throw new Error(`the echo process does not listen on ${this.#options.socket}`);
    this.#listen(socket);
    return socket;
  }

  #adopt(socket: Socket): void {
    this.#connection = Promise.resolve(socket);
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    // Another use of the event loop keeps the agent alive; this connection alone does not.
    socket.unref();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#lost());
    onLines(socket, (line) => {
      const reply = JSON.parse(line) as EchoReply;
      this.#replies.get(reply.id)?.(reply);
      this.#replies.delete(reply.id);
    });
  }

  /** The process has ended: what it served is served again by a new one. */
  #lost(): void {
    this.#connection = undefined;
    for (const [id, answer] of this.#replies) answer({ id, error: "the echo process has ended" });
    this.#replies.clear();
    if (this.#stopped || this.#wanted.size === 0) return;
    this.#log.warn("The echo process has ended; starting it again");
    for (const container of this.#wanted.values()) {
      this.#call({ op: "add", container }).catch((error: unknown) => {
        this.#log.error("A container is not served", {
          pod: `${container.namespace}/${container.pod}`,
          error: errorMessage(error),
        });
      });
    }
  }

  /** Resolves when the new process listens. */
  async #startProcess(): Promise<void> {
    const [program, ...args] = this.#options.command;
    if (program === undefined) throw new Error("no command for the echo process");
    const log = openLastWords(this.#options.log);
    // Detached, so that it is no part of what a signal to the agent's group reaches.
    const child = spawn(program, [...args, `--socket=${this.#options.socket}`], {
      detached: true,
      stdio: ["ignore", "pipe", log],
    });
    closeSync(log);
    const output = child.stdout as Readable;
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the echo process ended with ${code}, see ${this.#options.log}`)));
      output.once("data", () => resolve());
    });
    output.destroy();
    child.unref();
  }
}

/** Connects to a unix socket; undefined when nobody listens. */
function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
