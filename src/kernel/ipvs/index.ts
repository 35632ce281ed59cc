/** IPVS by generic netlink: virtual and real servers; and a fake. */
export { FakeIpvs } from "./fake.ts";
export { IPVS_FAMILY, openIpvs } from "./kernel.ts";
export {
  type Ipvs,
  type IpvsOperation,
  type IpvsTimeouts,
  type RealServer,
  type RealServerState,
  realText,
  type ServerKey,
  serverText,
  type VirtualServer,
} from "./model.ts";
