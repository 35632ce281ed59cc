/** What each virtual address of a Service does on a node. Pure. */
export * from "./frontend.ts";
export { isProxied, serviceFrontends, serviceOfSlice } from "./frontends.ts";
export { hasHints, zoneOf } from "./hints.ts";
export { type FrontendChange, Holders, type HoldersUpdate, type Holding } from "./holders.ts";
