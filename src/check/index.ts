/** Proving with packets that a cluster's network is as it should be. */
export { listeners, parseListening } from "./listeners.ts";
export {
  type Arrival,
  connectivityFindings,
  type Finding,
  type Listener,
  type NetworkPod,
  networkPods,
  type ProbeOrder,
  type ProbeReport,
  portFindings,
  type Target,
} from "./model.ts";
export { Probe } from "./probe.ts";
