/** kube-proxy as one part: from a configuration to rules, ports and logs. */
export { cleanUpAll } from "./cleanup.ts";
export {
  availableModes,
  checkConfig,
  checkRights,
  DEFAULT_MODE,
  ipvsSettings,
  localTraffic,
  modeOf,
  modeSettings,
  nodePortCidrs,
} from "./modes.ts";
export { interfaceAddresses } from "./node.ts";
export { type KubeProxy, type KubeProxyDeps, prepareKubeProxy, startKubeProxy } from "./start.ts";
export { applyConntrackSettings, applyOomScore, conntrackSettings } from "./sysctls.ts";
