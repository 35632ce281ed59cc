import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { PodwireError } from "#base/errors.ts";

/** What is passed on to a command that has a process group of its own. */
const PASSED_ON = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const;
/** How long after a command's end its last words may take to come, when something else still holds its output. */
const LAST_WORDS_MS = 200;

/**
 * Whether this process may read from its terminal: one in the background would be stopped by it.
 * @param stat /proc/self/stat: pid, name in parentheses, state, parent, process group, session, terminal, its foreground group
 */
export function inForeground(stat: string): boolean {
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return group === foreground;
}

/** A command line as sh(1) reads it. */
export function shellWords(command: readonly string[]): string {
  return command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

/** How a command gets this process's streams. */
export type Streams =
  /** On a terminal made for it. */
  | { readonly kind: "terminal" }
  /** Pipes where we have a terminal, ours where we have none. */
  | { readonly kind: "pipes"; readonly stdio: readonly ("inherit" | "pipe" | "ignore")[] };

/**
 * Chooses how a command that is not to be trusted gets our streams. It never gets our terminal itself: whoever holds
 * that can push characters into it (TIOCSTI on Linux before 6.2), or read what is typed after the command has ended.
 * @param terminals which of the three streams are terminals
 */
export function planStreams(terminals: readonly boolean[], foreground: boolean): Streams {
  if (foreground && terminals.every(Boolean)) return { kind: "terminal" };
  const stdio = terminals.map((terminal, fd) => (!terminal ? "inherit" : fd === 0 && !foreground ? "ignore" : "pipe"));
  return { kind: "pipes", stdio };
}

/** {@link planStreams} for this process. */
export function ownStreams(): Streams {
  const terminals = [0, 1, 2].map((fd) => isatty(fd));
  return planStreams(terminals, terminals.includes(true) && inForeground(readFileSync("/proc/self/stat", "utf8")));
}

/**
 * Runs a command of a machine with this process's streams, apart from this process's terminal and process group:
 * `kill 0` over there ends nothing here.
 * @returns its exit code, 128 + signal when a signal ended it
 */
export function runForeign(command: readonly string[], streams: Streams): Promise<number> {
  return streams.kind === "terminal" ? onTerminal(command) : onPipes(command, streams.stdio);
}

/** script(1) makes the terminal, tells it our size, and carries the characters. */
function onTerminal(command: readonly string[]): Promise<number> {
  const script = ["script", "--quiet", "--return", "--command", `exec ${shellWords(command)}`, "/dev/null"];
  // It starts the command by $SHELL, which may be any program.
  const child = start(script, { stdio: "inherit", env: { ...process.env, SHELL: "/bin/sh" } });
  // On our own terminal script reads every key; a signal sent to us alone ends it, and with it the terminal.
  for (const signal of PASSED_ON) process.on(signal, () => child.kill("SIGTERM"));
  return ended(child);
}

async function onPipes(command: readonly string[], stdio: readonly ("inherit" | "pipe" | "ignore")[]): Promise<number> {
  const child = start(command, { stdio: [...stdio] as StdioOptions, detached: true });
  for (const signal of PASSED_ON) process.on(signal, () => signalGroup(child, signal));
  if (child.stdin) {
    // A command that reads nothing closes its end.
    child.stdin.on("error", () => undefined);
    process.stdin.pipe(child.stdin);
  }
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  const quiet = new Promise((resolve) => child.once("close", resolve));
  const code = await ended(child);
  if (child.stdout || child.stderr)
    await Promise.race([quiet, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
  return code;
}

function start([program, ...args]: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(program as string, args, { cwd: "/", ...options });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) =>
      reject(new PodwireError("NotStarted", `could not start ${child.spawnfile}: ${error.message}`)),
    );
    child.once("exit", (code, signal) => resolve(signal === null ? (code ?? 0) : 128 + constants.signals[signal]));
  });
}
