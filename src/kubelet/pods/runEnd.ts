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
export function runEnd({ exitCode, unknown }: ContainerExit, message: string | undefined): RunEnd {
  const reason = unknown ? LOST.reason : exitCode === 0 ? "Completed" : "Error";
  return { exitCode, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
}

/** The end of a run that could not be started. */
export function failedStart(message: string): RunEnd {
  return { exitCode: 128, reason: "StartError", message };
}
