/** Why the kernel holds what it holds. */
export { type KernelThing, type NodeView, nodeOrigins } from "./nodeOrigins.ts";
