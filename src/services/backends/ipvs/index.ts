/** Services as virtual servers of the kernel's IPVS. */
export { IPVS_TABLE, type IpvsBackendOptions, ipvsBackend } from "./backend.ts";
export { IPVS_DEVICE } from "./device.ts";
export { checkIpvs, type IpvsNode, type IpvsSettings, openIpvsNode } from "./node.ts";
