import type { ContainerExit } from "../runtime/index.ts";
import type { RunEnd } from "./history.ts";

/** When a container began that never did, as container runtimes tell it. */
export const NEVER = "1970-01-01T00:00:00Z";

/** The end of a run that nobody saw. */
export const LOST: RunEnd = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container ended while no node agent ran",
};

/** How a run has ended in the words of containerd. @param message what its program left to say */
export function runEnd(exit: ContainerExit, message: string | undefined): RunEnd {
  const { exitCode } = exit;
  const reason = reasonOf(exit);
  return { exitCode, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}

function reasonOf({ exitCode, unknown, outOfMemory }: ContainerExit): string | undefined {
  // Whatever its exit code, as containerd, which hears of it before the end.
  if (outOfMemory) return "OOMKilled";
  if (unknown) return LOST.reason;
  return exitCode === 0 ? "Completed" : "Error";
}

/** The end of a run that could not be started. */
export function failedStart(message: string): RunEnd {
  return { exitCode: 128, reason: "StartError", message };
}
