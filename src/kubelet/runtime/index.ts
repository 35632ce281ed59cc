/** Containers as processes. */
export type { RunningContainer } from "./container.ts";
export { findCrun, installHint } from "./crun/index.ts";
export { startFailure } from "./execFailure.ts";
export { lightContainer } from "./light.ts";
export type { OutputListener } from "./outputs.ts";
export { type ExecRequest, ProcessRuntime, type RuntimeOptions } from "./processes.ts";
export { DEFAULT_CAPABILITIES, type VolumeMountPoint } from "./rootPlan.ts";
export {
  type ContainerExit,
  type ContainerHandle,
  type ContainerSpec,
  ContainerStartError,
  RUNTIMES,
  type RuntimeName,
  type SharedNamespaces,
} from "./types.ts";
