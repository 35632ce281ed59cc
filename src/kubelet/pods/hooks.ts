import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container, LifecycleHandler, Pod } from "#api/index.ts";
import { makePipe } from "#kernel/process/index.ts";
import { type Attempt, attempt } from "../probes/index.ts";
import type { ProcessRuntime, RunningContainer } from "../runtime/index.ts";
import { containerSecurity } from "./security.ts";

/** A container in which a command can be run. */
export interface ExecTarget {
  readonly container: Container;
  readonly pod: Pod;
  readonly running: RunningContainer;
  readonly runtime: ProcessRuntime;
}

const SIGKILL = 9;
/** As much of a command's output as events show. */
const MAX_OUTPUT = 10 * 1024;
const TIMED_OUT = 124;

/** Runs a command in a container. Output beyond 10 KiB is dropped; after the time-out the command is killed. */
export async function execOutput(
  target: ExecTarget,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  const [program, ...args] = command;
  if (program === undefined) return { exitCode: 126, output: "the command is empty" };
  const { user, capabilities } = containerSecurity(target.pod, target.container, {});
  const pipe = makePipe();
  const output = gather(pipe.read);
  const child = await target.runtime
    .exec(target.running, {
      argv: [program, ...args],
      stdio: [null, pipe.write, pipe.write],
      tty: false,
      ...(user ? { user } : {}),
      ...(capabilities ? { capabilities } : {}),
    })
    .finally(() => closeSync(pipe.write));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill(SIGKILL);
  }, timeoutMs);
  const { code, signal } = await child.exit;
  clearTimeout(timer);
  if (timedOut)
    return {
      exitCode: TIMED_OUT,
      output: `command timed out: "${command.join(" ")}" timed out after ${timeoutMs / 1000}s`,
    };
  return { exitCode: code ?? 128 + (signal ?? SIGKILL), output: (await output()).trim() };
}

/** Collects what comes out of a pipe; the function gives it after the writers are gone, or soon after being asked. */
function gather(fd: number): () => Promise<string> {
  const socket = new Socket({ fd, readable: true, writable: false });
  const chunks: Buffer[] = [];
  let size = 0;
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    if (size < MAX_OUTPUT) chunks.push(chunk);
    size += chunk.length;
  });
  return async () => {
    // A background process of the command may keep the pipe open.
    await Promise.race([ended, sleep(100)]);
    socket.destroy();
    return Buffer.concat(chunks).subarray(0, MAX_OUTPUT).toString();
  };
}

/** Runs a postStart or preStop hook. Never rejects. */
export async function hookAttempt(
  hook: LifecycleHandler,
  target: ExecTarget & { readonly podIP: string },
  timeoutMs: number,
): Promise<Attempt> {
  if (hook.sleep) {
    await sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs));
    return { success: true, message: "" };
  }
  const exec = (command: readonly string[], limitMs: number) => execOutput(target, command, limitMs);
  return attempt(hook, { podIP: target.podIP, container: target.container, exec }, timeoutMs);
}
