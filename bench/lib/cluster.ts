import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { promisify } from "node:util";

/** The checkout. */
export const root: string = path.resolve(import.meta.dirname, "../..");
/** The program that brings clusters up. */
export const podwire: string = path.join(root, "podwire");
/** Longest time for a cluster to come up or end, in milliseconds. */
const patience = 60_000;

/** What is used of `podwire status --json`. */
export interface Status {
  readonly firstAnswerMs?: number;
  readonly timeline?: Readonly<Record<string, number>>;
  readonly kubeconfig?: string;
  readonly nodes?: readonly { readonly name: string }[];
}

/** A cluster that a benchmark has brought up. */
export interface Running {
  readonly child: ChildProcess;
  readonly name: string;
}

/**
 * Starts a cluster and waits until it says that it is up; the clock starts right before the exec.
 * @throws Error with what it printed when it ends or does not come up
 */
export async function bringUp(
  command: string,
  args: readonly string[],
  name: string,
  signal: AbortSignal,
): Promise<Running> {
  const started = performance.timeOrigin + performance.now();
  const child = spawn(command, [...args, "--name", name], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PODWIRE_STARTED_AT: String(started) },
    signal,
    killSignal: "SIGTERM",
  });
  let words = "";
  const up = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer after ${patience} ms:\n${words}`)), patience);
    const read = (data: Buffer): void => {
      words += data.toString();
      if (/First answer|The cluster is up/.test(words)) resolve(clearTimeout(late));
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${command} ended with code ${code}:\n${words}`)));
  });
  try {
    await up;
  } catch (error) {
    child.kill("SIGTERM");
    throw error;
  }
  return { child, name };
}

/** What the cluster says of itself. */
export async function status(name: string): Promise<Status> {
  const { stdout } = await promisify(execFile)(podwire, ["status", "--name", name, "--json"], { cwd: root });
  return JSON.parse(stdout) as Status;
}

/** Ends a cluster. @returns milliseconds that it took */
export async function end({ child }: Running): Promise<number> {
  const began = performance.now();
  // "close" and not "exit": the streams end with the last process that holds them.
  const ended = once(child, "close", { signal: AbortSignal.timeout(patience) });
  child.kill("SIGTERM");
  await ended;
  return performance.now() - began;
}
