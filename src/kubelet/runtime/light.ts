import { ContainerLog } from "../logs/index.ts";
import type { RunningContainer } from "./container.ts";
import type { ContainerExit, ContainerHandle } from "./types.ts";

const SILENT: RunningContainer["outputs"] = {
  input: undefined,
  attach: () => () => {},
  onOutput: () => () => {},
};

/**
 * A container without a process of its own: another process answers for it in the pod's network. It lasts until it is
 * told to end, and then ends as a process would that handles no signal. Only this side writes its log.
 */
export function lightContainer(handle: Omit<ContainerHandle, "pid">): RunningContainer {
  const log = new ContainerLog(handle.logPath);
  const ended = Promise.withResolvers<ContainerExit>();
  return {
    handle: { ...handle, pid: -1 },
    pidfd: -1,
    isLight: true,
    log,
    outputs: SILENT,
    exit: ended.promise,
    kill(signal) {
      log.end();
      ended.resolve({ exitCode: 128 + signal });
    },
  };
}
