/** Proving with packets that a cluster's network is as it should be. */
export { listeners, parseListening } from "./listeners.ts";
export { Probe } from "./probe.ts";
export {
  type Arrival,
  connectivityFindings,
  type Finding,
  type Listener,
  type NetworkPod,
  networkPods,
  portFindings,
  type ProbeOrder,
  type ProbeReport,
  type Target,
} from "./model.ts";
