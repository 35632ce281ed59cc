/** A cluster seen from the host. */
export { Cluster, type ClusterOptions, type Installation } from "./cluster.ts";
export { askControl, type ControlRequest } from "./control.ts";
export type { ClusterStatus } from "./status.ts";
