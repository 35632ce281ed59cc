/** The network between nodes' pods: vxlan in flannel's way. */
export { defaultConfig, type NetworkConfig, parseConfig, readConfig } from "./config.ts";
export { applyMasquerade, type MasqueradeWish, masqueradeRules } from "./masquerade.ts";
export { annotationNames, type Lease, leaseOf, leasesOf } from "./model.ts";
export {
  type PodNetwork,
  type PodNetworkDeps,
  type PodNetworkInfo,
  type PodNetworkOptions,
  startPodNetwork,
} from "./network.ts";
export { type Entry, type Place, planEntries } from "./plan.ts";
