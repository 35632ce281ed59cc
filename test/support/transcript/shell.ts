import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What a command printed, in lines, and its exit code. */
export interface Outcome {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly exit: number;
}

/** A command that goes on while others are typed. */
export interface Background {
  /** What it printed so far. */
  read(): Outcome;
  /** Ends it when it has not ended; resolves with all that it printed. */
  end(): Promise<Outcome>;
}

/** Milliseconds that one command may take. */
const LIMIT = 60_000;

/** One bash in a folder: variables and functions stay from command to command. */
export class Shell {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<string, (rest: string) => void>();
  #count = 0;
  #hung: string | undefined;

  /** @param folder where the commands run and their outputs are kept */
  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#child = spawn("bash", ["--noprofile", "--norc"], {
      cwd: folder,
      env,
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    if (!this.#child.stdout) throw new Error("a shell without an output");
    createInterface(this.#child.stdout).on("line", (line) => {
      const [, name = "", rest = ""] = /^(\S+) (.*)$/.exec(line) ?? [];
      this.#waiting.get(name)?.(rest);
      this.#waiting.delete(name);
    });
  }

  #type(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** Resolves with what the shell prints after `name`. @throws Error when it takes too long */
  #told(name: string, what: string): Promise<string> {
    if (this.#hung) return Promise.reject(new Error(`not typed, since this one did not end: ${this.#hung}`));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#hung = what;
        reject(new Error(`no end within ${LIMIT} ms: ${what}`));
      }, LIMIT);
      this.#waiting.set(name, (rest) => {
        clearTimeout(late);
        resolve(rest);
      });
    });
  }

  #outputs(name: string): Pick<Outcome, "stdout" | "stderr"> {
    const lines = (stream: string) =>
      readFileSync(join(this.#folder, `.${name}.${stream}`), "utf8")
        .replace(/\n$/, "")
        .split("\n");
    return { stdout: lines("out"), stderr: lines("err") };
  }

  /** Sets a variable. */
  set(name: string, value: string): void {
    this.#type(`${name}='${value.replaceAll("'", `'\\''`)}'`);
  }

  /** Types a command and waits for its end. */
  async run(command: string): Promise<Outcome> {
    const name = `step${++this.#count}`;
    const told = this.#told(name, command);
    this.#type(`{ ${command}\n} > .${name}.out 2> .${name}.err < /dev/null; echo ${name} $?`);
    const exit = Number(await told);
    return { ...this.#outputs(name), exit };
  }

  /** Types a command, which goes on in the background. */
  async start(command: string): Promise<Background> {
    const name = `step${++this.#count}`;
    const [started, ended] = [this.#told(`${name}started`, command), this.#told(`${name}ended`, command)];
    ended.catch(() => {});
    this.#type(`: > .${name}.out > .${name}.err`);
    this.#type(`{ ${command} > .${name}.out 2> .${name}.err < /dev/null & pid=$!; echo ${name}started $pid`);
    this.#type(`wait $pid; echo ${name}ended $?; } &`);
    const pid = Number(await started);
    let exit: number | undefined;
    ended.then(
      (code) => (exit = Number(code)),
      () => {},
    );
    return {
      read: () => ({ ...this.#outputs(name), exit: exit ?? 0 }),
      end: async () => {
        if (exit !== undefined) return { ...this.#outputs(name), exit };
        terminate(pid);
        await ended;
        return { ...this.#outputs(name), exit: 0 };
      },
    };
  }

  /** Ends the shell and what was started from it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.pid === undefined) return;
    const closed = once(this.#child, "exit");
    terminate(-this.#child.pid, "SIGKILL");
    await closed;
  }
}

/** Ends a process, or a group of them when negative. */
function terminate(pid: number, signal: NodeJS.Signals = "SIGTERM"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in this moment.
  }
}
