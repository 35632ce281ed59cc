/** The ways to put Services into effect: one folder for each mode, all behind one interface. */
export { type LocalTraffic, type ProxyMode, proxyModes, type ServiceBackend, type TrafficSettings } from "./backend.ts";
export {
  checkEbpf,
  EBPF_TABLE,
  type EbpfBackendOptions,
  ebpfBackend,
  hasEbpfPrograms,
  translatable,
} from "./ebpf/index.ts";
export {
  type Iptables,
  type IptablesBackendOptions,
  type IptablesPlace,
  type IptablesSettings,
  iptablesBackend,
  isProxyChain,
  openIptables,
} from "./iptables/index.ts";
export {
  checkIpvs,
  IPVS_DEVICE,
  IPVS_TABLE,
  type IpvsBackendOptions,
  type IpvsNode,
  type IpvsSettings,
  ipvsBackend,
  openIpvsNode,
} from "./ipvs/index.ts";
export { type NftablesBackendOptions, nftablesBackend, SERVICES_TABLE, serviceLayout } from "./nftables/index.ts";
export {
  type RelaySettings,
  USERSPACE_TABLE,
  type UserspaceBackendOptions,
  userspaceBackend,
} from "./userspace/index.ts";
