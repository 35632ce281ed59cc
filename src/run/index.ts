/** Containers beside Kubernetes, on a network as Docker makes it. */
export { macOf, nextAddress } from "./addresses.ts";
export { makeNetwork, netnsPath, removeNetwork } from "./apply.ts";
export { hostsFile } from "./files.ts";
export {
  type Attachment,
  BRIDGE,
  type NetworkMode,
  networkModes,
  type PublishedPort,
  parsePublish,
  type RunNetwork,
} from "./model.ts";
export { newNetwork } from "./newNetwork.ts";
export { explainStep, type Step } from "./plan.ts";
export type { Listener } from "./proxyTcp.ts";
export { publish } from "./publish.ts";
export { type RunRecord, Runs } from "./store.ts";
export { runsTable } from "./table.ts";
export { EXIT, type RunWish, type StopWish, startExitCode } from "./wish.ts";
