import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PodwireError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";

/** A proxy that runs by a configuration text. */
export interface DataPlane {
  /**
   * Brings a configuration into force; resolves when new connections are served by it.
   * @throws NginxConfigError when the text is refused: what ran before still runs.
   */
  apply(text: string): Promise<void>;
  /** Calls the handler when the proxy ends without being asked to. */
  onExit(handler: (reason: string) => void): void;
  readonly running: boolean;
  stop(): Promise<void>;
}

/** nginx refuses a configuration. `line` counts from 1. */
export class NginxConfigError extends PodwireError {
  readonly line: number | undefined;
  constructor(message: string, line: number | undefined) {
    super("ERR_NGINX_CONFIG", message, { line });
    this.line = line;
  }
}

/** Where nginx is and what it may take. */
export interface NginxOptions {
  /** Looked up in PATH. */
  readonly binary: string;
  readonly configFile: string;
  /** Folder for temporary files, pid file included. */
  readonly directory: string;
  /** Longest wait for a start or reload, milliseconds. */
  readonly timeoutMs: number;
  /** Longest wait for running requests at stop, milliseconds. */
  readonly stopMs: number;
}

export const nginxDefaults: NginxOptions = {
  binary: "nginx",
  configFile: "/etc/nginx/nginx.conf",
  directory: "/tmp/nginx",
  timeoutMs: 10_000,
  stopMs: 5_000,
};

/** Lines that nginx writes at level notice when new connections go to workers with the newest configuration. */
const started = /\[notice\].*: start worker process \d+/;
const handedOver = /\[notice\].*: gracefully shutting down/;

/**
 * One nginx in the foreground as our child. Its standard error is read line by line: that is how a finished start and
 * a finished reload are known without asking again and again, and how a refused configuration's line is found.
 */
export class Nginx implements DataPlane {
  readonly #options: NginxOptions;
  readonly #log: Logger;
  readonly #lineHandlers = new Set<(line: string) => void>();
  readonly #exitHandlers = new Set<(reason: string) => void>();
  #child: ChildProcess | undefined;
  #stopping = false;

  constructor(options: Partial<NginxOptions>, deps: { readonly log: Logger }) {
    this.#options = { ...nginxDefaults, ...options };
    this.#log = deps.log;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  onExit(handler: (reason: string) => void): void {
    this.#exitHandlers.add(handler);
  }

  async apply(text: string): Promise<void> {
    const { configFile, directory } = this.#options;
    mkdirSync(directory, { recursive: true });
    mkdirSync(dirname(configFile), { recursive: true });
    const next = `${configFile}.next`;
    writeFileSync(next, text);
    if (this.#child) {
      await this.#check(next);
      renameSync(next, configFile);
      await this.#reload(this.#child);
    } else {
      // The start itself refuses a bad text, so that the first answer does not wait for a separate check.
      renameSync(next, configFile);
      this.#endLeftOver();
      await this.#start();
    }
  }

  /** Lets requests end (SIGQUIT), then insists. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    child.kill("SIGQUIT");
    const insist = setTimeout(() => child.kill("SIGTERM"), this.#options.stopMs);
    const force = setTimeout(() => child.kill("SIGKILL"), this.#options.stopMs + 1000);
    await ended;
    clearTimeout(insist);
    clearTimeout(force);
  }

  #spawn(args: readonly string[]): ChildProcess {
    const { binary, directory } = this.#options;
    return spawn(binary, ["-p", `${directory}/`, "-c", ...args], { stdio: ["ignore", "inherit", "pipe"] });
  }

  async #start(): Promise<void> {
    const child = this.#spawn([this.#options.configFile]);
    const errors: string[] = [];
    let up = false;
    readLines(child, (line) => {
      if (!up && /\[emerg\]/.test(line)) errors.push(line);
      this.#take(line);
    });
    const exit = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`${this.#options.binary}: ${error.message}`));
      child.once("close", (code, signal) => resolve(`nginx ended with ${signal ?? `code ${code}`}`));
    });
    this.#child = child;
    void exit.then((reason) => {
      if (this.#child === child) this.#child = undefined;
      if (up && !this.#stopping) for (const handler of this.#exitHandlers) handler(reason);
    });
    const failed = exit.then((reason) => {
      throw configError(errors, reason);
    });
    await Promise.race([this.#seen(started, "start"), failed]);
    up = true;
  }

  /** `nginx -t`: the running one keeps its configuration when this fails. */
  async #check(file: string): Promise<void> {
    const child = this.#spawn([file, "-t", "-q"]);
    const errors: string[] = [];
    readLines(child, (line) => void (/\[emerg\]/.test(line) && errors.push(line)));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code !== 0) throw configError(errors, `nginx -t ended with code ${code}`);
  }

  /** The old workers close their listening sockets as they begin to end: from then on only new ones accept. */
  async #reload(child: ChildProcess): Promise<void> {
    const done = this.#seen(handedOver, "reload");
    child.kill("SIGHUP");
    await done;
  }

  #seen(pattern: RegExp, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer);
        this.#lineHandlers.delete(onLine);
        end();
      };
      const onLine = (line: string) => {
        if (pattern.test(line)) settle(resolve);
      };
      const late = () =>
        reject(new PodwireError("ERR_NGINX_TIMEOUT", `nginx did not ${what} within ${this.#options.timeoutMs} ms`));
      const timer = setTimeout(() => settle(late), this.#options.timeoutMs);
      timer.unref();
      this.#lineHandlers.add(onLine);
    });
  }

  /** Notices are for us, the rest is for the pod's log. */
  #take(line: string): void {
    for (const handler of this.#lineHandlers) handler(line);
    if (!line.includes("[notice]") && line !== "") process.stderr.write(`${line}\n`);
  }

  /** A controller that was killed may have left its nginx in the pod, which would hold the ports. */
  #endLeftOver(): void {
    try {
      const pid = Number(readFileSync(`${this.#options.directory}/nginx.pid`, "utf8"));
      if (pid > 1 && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "nginx") {
        this.#log.warn("Ending an nginx left by an earlier controller", { pid });
        process.kill(pid, "SIGTERM");
      }
    } catch {
      // No such file or process: the usual case.
    }
  }
}

function readLines(child: ChildProcess, take: (line: string) => void): void {
  let rest = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  });
  child.stderr?.on("end", () => {
    if (rest !== "") take(rest);
  });
}

/** `nginx: [emerg] unknown directive "x" in /etc/nginx/nginx.conf:12` → message and line. */
function configError(errors: readonly string[], fallback: string): Error {
  const first = errors.find((line) => /:\d+$/.test(line.trim())) ?? errors[0];
  if (first === undefined) return new PodwireError("ERR_NGINX", fallback);
  const found = /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+?:(\d+))?$/.exec(first.trim());
  const message = found?.[1] ?? first;
  if (found?.[2] === undefined) return new PodwireError("ERR_NGINX", message);
  return new NginxConfigError(message, Number(found[2]));
}
