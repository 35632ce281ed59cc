/** kube-proxy as one part: from a configuration to rules, ports and logs. */
export { availableModes, DEFAULT_MODE, localTraffic, modeOf, modeSettings, nodePortCidrs } from "./modes.ts";
export { cleanUpAll, type KubeProxy, type KubeProxyDeps, startKubeProxy } from "./start.ts";
export { applyConntrackSettings, applyOomScore, conntrackSettings } from "./sysctls.ts";
