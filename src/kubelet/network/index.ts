/** Pods' network namespaces and the node's CNI configuration. */
export { CniPodNetwork, type CniPodNetworkDeps } from "./podNetwork.ts";
export { type NetworkState, NetworkWatch, outsideOf } from "./state.ts";
