/** Processor time and memory of a node's containers. */
export { NodeStats } from "./nodeStats.ts";
