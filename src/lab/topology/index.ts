/** Machines, links and segments as a pure model; a cluster is one thing that runs on machines. */
export { clusterTopology } from "./cluster.ts";
export { parseTopology } from "./file.ts";
export {
  baseSysctls,
  forwardingSysctls,
  type Interface,
  type MachineModel,
  macAddress,
  type StaticRoute,
  type Topology,
} from "./model.ts";
