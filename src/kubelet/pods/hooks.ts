import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container, LifecycleHandler, Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { makePipe } from "#kernel/process/index.ts";
import { type Attempt, attempt } from "../probes/index.ts";
import type { ProcessRuntime, RunningContainer } from "../runtime/index.ts";
import { type ContainerIdentity, containerSecurity } from "./security.ts";

/** A container in which a command can be run. */
export interface ExecTarget {
  readonly container: Container;
  readonly pod: Pod;
  readonly running: RunningContainer;
  readonly runtime: ProcessRuntime;
  /** As whom it runs; absent: root. */
  readonly user?: ContainerIdentity;
}

/** A container whose hooks can be run. */
export type HookTarget = ExecTarget & { readonly podIP: string };

const SIGKILL = 9;
const POST_START_MS = 600_000;
/** A shell's exit code for a command that cannot be executed. */
const CANNOT_RUN = 126;
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
  const { user, capabilities, mayGainPrivileges } = containerSecurity(target.container, target.user);
  const pipe = makePipe();
  const output = gather(pipe.read);
  const child = await target.runtime
    .exec(target.running, {
      argv: [program, ...args],
      stdio: [null, pipe.write, pipe.write],
      tty: false,
      ...(user ? { user } : {}),
      ...(capabilities ? { capabilities, mayGainPrivileges } : {}),
    })
    .finally(() => closeSync(pipe.write));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill(SIGKILL);
  }, timeoutMs);
  const { code, signal } = await child.exit;
  clearTimeout(timer);
  if (timedOut) {
    output.drop();
    return {
      exitCode: TIMED_OUT,
      output: `command timed out: "${command.join(" ")}" timed out after ${timeoutMs / 1000}s`,
    };
  }
  return { exitCode: code ?? 128 + (signal ?? SIGKILL), output: (await output.text()).trim() };
}

/** What comes out of a pipe. One of the two must be called at the end: either closes it. */
interface Gathered {
  /** What has come when the writers are gone, or soon after being asked. */
  text(): Promise<string>;
  /** Nobody wants it any more. */
  drop(): void;
}

function gather(fd: number): Gathered {
  const socket = new Socket({ fd, readable: true, writable: false });
  const chunks: Buffer[] = [];
  let size = 0;
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    if (size < MAX_OUTPUT) chunks.push(chunk);
    size += chunk.length;
  });
  return {
    text: async () => {
      // A background process of the command may keep the pipe open.
      await Promise.race([ended, sleep(100)]);
      socket.destroy();
      return Buffer.concat(chunks).subarray(0, MAX_OUTPUT).toString();
    },
    drop: () => void socket.destroy(),
  };
}

/** How a hook has ended. */
export interface HookOutcome {
  readonly success: boolean;
  /** Upstream's sentence about a failure (pkg/kubelet/lifecycle/handlers.go). */
  readonly message: string;
}

/** Runs a postStart or preStop hook. Never rejects. */
export async function hookAttempt(hook: LifecycleHandler, target: HookTarget, timeoutMs: number): Promise<HookOutcome> {
  const { container, pod } = target;
  const { name, namespace, uid } = pod.metadata;
  const place = `for Container ${JSON.stringify(container.name)} in Pod "${name}_${namespace}(${uid})" failed - error:`;
  if (hook.exec) {
    const command = hook.exec.command ?? [];
    const { exitCode, output } = await execOutput(target, command, timeoutMs).catch((error: unknown) => ({
      exitCode: CANNOT_RUN,
      output: errorMessage(error),
    }));
    const why = `command '${command.join(" ")}' exited with ${exitCode}: ${output}`;
    const message = `Exec lifecycle hook ([${command.join(" ")}]) ${place} ${why}, message: ${JSON.stringify(output)}`;
    return { success: exitCode === 0, message };
  }
  const { success, message } = await otherAttempt(hook, target, timeoutMs);
  if (!hook.httpGet) return { success, message };
  return { success, message: `HTTP lifecycle hook (${hook.httpGet.path}) ${place} ${message}` };
}

/** Whom a hook tells of its failure. */
export interface HookReporter {
  event(type: "Normal" | "Warning", reason: string, message: string): void;
}

/** Runs the postStart hook, and says what follows from its failure. @returns why it failed */
export async function postStart(target: HookTarget, reporter: HookReporter): Promise<string | undefined> {
  const hook = target.container.lifecycle?.postStart;
  if (!hook) return undefined;
  const { success, message } = await hookAttempt(hook, target, POST_START_MS);
  if (success) return undefined;
  // As upstream, without the cause, which may hold secrets: that is in the container's status.
  reporter.event("Warning", "FailedPostStartHook", "PostStartHook failed");
  reporter.event("Normal", "Killing", "FailedPostStartHook");
  return message;
}

async function otherAttempt(hook: LifecycleHandler, target: HookTarget, timeoutMs: number): Promise<Attempt> {
  if (hook.sleep) {
    await sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs));
    return { success: true, message: "" };
  }
  const exec = (command: readonly string[], limitMs: number) => execOutput(target, command, limitMs);
  return attempt(hook, { podIP: target.podIP, container: target.container, exec }, timeoutMs);
}
