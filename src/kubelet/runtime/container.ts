import { closeSync } from "node:fs";
import type { Child, ExitStatus } from "#kernel/process/index.ts";
import type { ContainerGroup } from "../cgroups/index.ts";
import type { ContainerLog } from "../logs/index.ts";
import { killRemaining, openMountNamespace } from "./found.ts";
import type { ContainerOutputs } from "./outputs.ts";
import type { ContainerExit, ContainerHandle } from "./types.ts";

/** A container whose process runs, or has just ended. */
export interface RunningContainer {
  readonly handle: ContainerHandle;
  /** Descriptor of its first process (pidfd_open(2)); valid until `exit` resolves. */
  readonly pidfd: number;
  /** It has no process: its process id and descriptor are -1. */
  readonly isLight?: true;
  readonly log: ContainerLog;
  readonly outputs: Pick<ContainerOutputs, "input" | "attach" | "onOutput">;
  /** Our end of its terminal. */
  readonly pty?: number;
  /** Resolves when the process has ended and its output is in the log. */
  readonly exit: Promise<ContainerExit>;
  kill(signal: number): void;
}

const SIGKILL = 9;

/** A shell's `$?` for a wait status. */
function exitOf({ code, signal }: ExitStatus): ContainerExit {
  if (code !== null) return { exitCode: code };
  if (signal !== null) return { exitCode: 128 + signal };
  return { exitCode: 128 + SIGKILL, unknown: true };
}

/** What goes wrong after a process's end does not undo it: it is told, and the end is recorded all the same. */
async function attempt(step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}

/**
 * Puts a process and its outputs together.
 * @param sharesProcesses its end does not end what it has started
 * @param group its control group, which ends with it
 */
export function runningContainer(
  handle: ContainerHandle,
  child: Child,
  log: ContainerLog,
  outputs: ContainerOutputs,
  sharesProcesses: boolean,
  group?: ContainerGroup,
): RunningContainer {
  const mounts = sharesProcesses ? openMountNamespace(handle.pid) : undefined;
  const exit = child.exit.then(async (status) => {
    if (mounts !== undefined) await attempt(() => killRemaining(mounts).finally(() => closeSync(mounts)));
    const outOfMemory = group?.wasOutOfMemory() ?? false;
    await attempt(async () => group?.end());
    await attempt(() => outputs.finish());
    return { ...exitOf(status), ...(outOfMemory ? { outOfMemory } : {}) };
  });
  return {
    handle,
    pidfd: child.pidfd,
    log,
    outputs,
    ...(child.pty === undefined ? {} : { pty: child.pty }),
    exit,
    kill: (signal) => child.kill(signal),
  };
}
