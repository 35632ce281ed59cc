/** A cluster seen from the host. */
export { Cluster, type ClusterOptions, type Installation } from "./cluster.ts";
export { askControl, type ControlRequest } from "./control.ts";
export { KeptState } from "./kept.ts";
export { type CommandResult, Lab } from "./lab.ts";
export { machineCommand } from "./nsenter.ts";
export type { ClusterStatus } from "./status.ts";
