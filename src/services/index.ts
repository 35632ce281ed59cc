/** Services on nftables maps: what each virtual address does on a node, and the rules for it. */
export { type BridgeFiltering, bridgeFiltering } from "./bridgeFiltering.ts";
export { type LayoutOptions, SERVICES_TABLE, serviceLayout } from "./layout.ts";
export {
  type Action,
  type Backend,
  type Frontend,
  type FrontendKind,
  isProxied,
  type NodeView,
  serviceFrontends,
  serviceOfSlice,
} from "./model.ts";
export { type FrontendPlan, planFrontend } from "./plan.ts";
export {
  type ServiceProxy,
  type ServiceProxyOptions,
  startServiceProxy,
} from "./proxy.ts";
export { cleanStaleFlows, type FrontendChange, staleFlows } from "./staleFlows.ts";
