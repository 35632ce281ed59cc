/** Services on chains of iptables, as kube-proxy makes them. */
export { type IptablesBackendOptions, iptablesBackend } from "./backend.ts";
export type { IptablesSettings } from "./layout.ts";
export { type Iptables, type IptablesPlace, openIptables } from "./programs.ts";
export { isProxyChain } from "./saved.ts";
