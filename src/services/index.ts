/** Services: what each virtual address does on a node, and the ways to put that into effect. */
export * from "./backends/index.ts";
export * from "./config/index.ts";
export * from "./explain/index.ts";
export * from "./model/index.ts";
export * from "./module/index.ts";
export {
  type ServiceProxy,
  type ServiceProxyOptions,
  startServiceProxy,
} from "./proxy.ts";
export { cleanStaleFlows, staleFlows } from "./staleFlows.ts";
