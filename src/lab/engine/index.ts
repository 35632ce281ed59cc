/** The process inside the lab's namespaces. */
export { Engine, type ListenHandle } from "./engine.ts";
export {
  type BootRequest,
  type ForwardTarget,
  type FromEngine,
  type MachineAction,
  type MachinePlan,
  type MachineState,
  machinePlans,
  type OutsideAnswer,
  type OutsideRequest,
  type ProcessSpec,
  type ProcessState,
  type ToEngine,
} from "./protocol.ts";
export { frame } from "./resolver.ts";
