/** The pods of a node. */
export type { ObjectReader, PodDeps, PodNetwork, PodServers, ServedContainer } from "./deps.ts";
export { presentHandlers } from "./handler.ts";
export { execOutput } from "./hooks.ts";
export { noProcess } from "./light.ts";
export { PodManager } from "./manager.ts";
export { PodRecords, type SandboxRecord } from "./record.ts";
export { containerSecurity } from "./security.ts";
export { PodStatuses } from "./statuses.ts";
export type { ContainerUnit } from "./unit.ts";
export type { PodWorker } from "./worker.ts";
