/** Pods' network namespaces and the node's CNI configuration. */
export { ownSubnets, type PodNetworkFacts } from "./facts.ts";
export { type HostPort, HostPorts, hostPortsOf } from "./hostPorts.ts";
export { CniPodNetwork, type CniPodNetworkDeps } from "./podNetwork.ts";
export { type NetworkState, NetworkWatch, outsideOf } from "./state.ts";
