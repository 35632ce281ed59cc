/** The process inside the lab's namespaces. */
export { Engine, type ListenHandle } from "./engine.ts";
export type { BootRequest, ForwardTarget, FromEngine, ProcessSpec, ProcessState, ToEngine } from "./protocol.ts";
