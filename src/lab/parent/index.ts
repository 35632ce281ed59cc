/** A cluster seen from the host. */
export { Cluster } from "./cluster.ts";
export { askControl, type ControlRequest } from "./control.ts";
export { KeptState } from "./kept.ts";
export { Lab } from "./lab.ts";
export type { NodeChanged, NodeRequest } from "./nodeChanges.ts";
export { type CommandResult, type MachinePlace, machineCommand } from "./nsenter.ts";
export type { ClusterOptions, Installation } from "./options.ts";
export type { ClusterStatus } from "./status.ts";
