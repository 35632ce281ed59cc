/** Limits of pods by control groups, where the node was given one. */
export { type BoundResource, type ContainerGroup, type GroupUsage, NodeCgroups } from "./nodeCgroups.ts";
export { oomScoreAdj } from "./oomScore.ts";
export { containerGroup, type GroupPlan } from "./plan.ts";
