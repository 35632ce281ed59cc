/** What each virtual address of a Service does on a node. Pure. */
export { clusterAddresses } from "./addresses.ts";
export { Claims } from "./claims.ts";
export {
  explainService,
  type FrontendExplanation,
  type LeftOut,
  type LeftOutReason,
  type ServiceExplanation,
} from "./explain.ts";
export * from "./frontend.ts";
export { isProxied, notProxied, proxyLabels, serviceFrontends, serviceOfSlice } from "./frontends.ts";
export { type HealthCheck, healthCheck } from "./healthChecks.ts";
export { hasHints, type Topology, zoneOf } from "./hints.ts";
export { type FrontendChange, Holders, type HoldersUpdate, type Holding } from "./holders.ts";
export { KeptSlice, type Place } from "./keptSlice.ts";
export { type NodeAddresses, type NodePortLimits, nodePortAddresses } from "./nodePorts.ts";
export { type NumberedTargets, numberedOf } from "./numbered.ts";
export { type ClientKind, type ClientOutcome, outcomeFor } from "./outcome.ts";
