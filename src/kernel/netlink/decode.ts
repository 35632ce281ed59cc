import { familyBits, formatIp, type Ip } from "#base/ip.ts";
import { BRIDGE, FAMILY, IFA, IFF, IFLA, LINKINFO, ND, RT, VXLAN } from "./constants.ts";
import { neighbourStates, routeTypes } from "./encode.ts";
import { formatMac } from "./mac.ts";
import { type Attributes, attributeText, eachAttribute, parseAttributes } from "./messageReader.ts";
import {
  type Address,
  type FdbEntry,
  type KernelRoute,
  type Link,
  type LinkKind,
  type Neighbour,
  type NeighbourState,
  operStates,
  portStates,
  type RouteType,
} from "./model.ts";

/** Reads the payload of an RTM_NEWLINK message. */
export function decodeLink(payload: Buffer): Link {
  const attributes = parseAttributes(payload.subarray(16));
  const flags = payload.readUInt32LE(8);
  const mac = attributes.get(IFLA.ADDRESS);
  return {
    index: payload.readInt32LE(4),
    name: attributeText(attributes.get(IFLA.IFNAME) ?? Buffer.alloc(0)),
    altNames: altNames(attributes.get(IFLA.PROP_LIST)),
    kind: decodeKind(attributes.get(IFLA.LINKINFO)),
    ...(mac?.length === 6 ? { mac: formatMac(mac) } : {}),
    mtu: u32(attributes, IFLA.MTU),
    up: (flags & IFF.UP) !== 0,
    operState: operStates[attributes.get(IFLA.OPERSTATE)?.[0] ?? 0] ?? "unknown",
    ...decodePort(attributes.get(IFLA.LINKINFO)),
    carrier: (flags & IFF.UP) !== 0 && (flags & IFF.LOWER_UP) !== 0,
    promiscuous: (flags & IFF.PROMISC) !== 0,
    master: u32(attributes, IFLA.MASTER),
    group: u32(attributes, IFLA.GROUP),
    lower: u32(attributes, IFLA.LINK),
  };
}

function decodePort(info: Buffer | undefined): Pick<Link, "port"> {
  const attributes = parseAttributes(info ?? Buffer.alloc(0));
  const data = attributes.get(LINKINFO.SLAVE_DATA);
  if (!data || attributeText(attributes.get(LINKINFO.SLAVE_KIND) ?? Buffer.alloc(0)) !== "bridge") return {};
  const port = portStates[parseAttributes(data).get(BRIDGE.PORT_STATE)?.[0] ?? 0];
  return port === undefined ? {} : { port };
}

function altNames(list: Buffer | undefined): string[] {
  const names: string[] = [];
  if (list) eachAttribute(list, (type, payload) => type === IFLA.ALT_IFNAME && names.push(attributeText(payload)));
  return names;
}

function decodeKind(info: Buffer | undefined): LinkKind {
  if (!info) return { type: "other", name: "" };
  const attributes = parseAttributes(info);
  const name = attributeText(attributes.get(LINKINFO.KIND) ?? Buffer.alloc(0));
  if (name === "dummy" || name === "bridge" || name === "veth") return { type: name };
  if (name !== "vxlan") return { type: "other", name };
  const data = parseAttributes(attributes.get(LINKINFO.DATA) ?? Buffer.alloc(0));
  const local = data.get(VXLAN.LOCAL) ?? data.get(VXLAN.LOCAL6);
  const link = u32(data, VXLAN.LINK);
  return {
    type: "vxlan",
    id: u32(data, VXLAN.ID),
    ...(link ? { link } : {}),
    ...(local ? { local: ipText(local) } : {}),
    port: data.get(VXLAN.PORT)?.readUInt16BE(0) ?? 0,
    learning: data.get(VXLAN.LEARNING)?.[0] === 1,
  };
}

/** Reads the payload of an RTM_NEWADDR message. */
export function decodeAddress(payload: Buffer): Address {
  const attributes = parseAttributes(payload.subarray(8));
  // IFA_LOCAL is this side's address; IPv6 has only IFA_ADDRESS.
  const ip = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS) ?? Buffer.alloc(4);
  return { index: payload.readUInt32LE(4), address: `${ipText(ip)}/${payload.readUInt8(1)}` };
}

/** Reads the payload of an RTM_GETMULTICAST answer: device index and group. */
export function decodeGroup(payload: Buffer): { readonly index: number; readonly group: string } | undefined {
  const group = parseAttributes(payload.subarray(8)).get(IFA.MULTICAST);
  return group && { index: payload.readUInt32LE(4), group: ipText(group) };
}

/**
 * Reads the payload of an RTM_NEWROUTE message; undefined for cached clones, multicast and broadcast routes, and the
 * kernel's own of the table "local".
 */
export function decodeRoute(payload: Buffer): KernelRoute | undefined {
  const attributes = parseAttributes(payload.subarray(12));
  const family = payload.readUInt8(0) === FAMILY.INET ? 4 : 6;
  const flags = payload.readUInt32LE(8);
  const type = (Object.keys(routeTypes) as RouteType[]).find((name) => routeTypes[name] === payload.readUInt8(7));
  const table = attributes.get(RT.A_TABLE)?.readUInt32LE(0) ?? payload.readUInt8(4);
  if (flags & RT.F_CLONED || type === undefined || table === RT.TABLE_LOCAL) return undefined;
  const dst = attributes.get(RT.A_DST) ?? Buffer.alloc(familyBits(family) / 8);
  const via = attributes.get(RT.A_GATEWAY);
  const source = attributes.get(RT.A_PREFSRC);
  const index = attributes.get(RT.A_OIF);
  return {
    dst: `${ipText(dst)}/${payload.readUInt8(1)}`,
    ...(via ? { via: ipText(via) } : {}),
    ...(index ? { index: index.readUInt32LE(0) } : {}),
    ...(flags & RT.F_ONLINK ? { onlink: true } : {}),
    ...(source ? { source: ipText(source) } : {}),
    metric: u32(attributes, RT.A_PRIORITY),
    table,
    protocol: payload.readUInt8(5),
    type,
  };
}

/** Reads the payload of an RTM_NEWNEIGH message of family IPv4 or IPv6; undefined for another family. */
export function decodeNeighbour(payload: Buffer): Neighbour | undefined {
  const family = payload.readUInt8(0);
  if (family !== FAMILY.INET && family !== FAMILY.INET6) return undefined;
  const attributes = parseAttributes(payload.subarray(12));
  const ip = attributes.get(ND.A_DST);
  if (!ip) return undefined;
  const mac = attributes.get(ND.A_LLADDR);
  const number = payload.readUInt16LE(8);
  const names = Object.keys(neighbourStates) as NeighbourState[];
  const state = names.find((name) => neighbourStates[name] === number) ?? "none";
  return {
    index: payload.readInt32LE(4),
    ip: ipText(ip),
    ...(mac?.length === 6 ? { mac: formatMac(mac) } : {}),
    state,
  };
}

/** Reads the payload of an RTM_NEWNEIGH message of family bridge. */
export function decodeFdb(payload: Buffer): FdbEntry | undefined {
  if (payload.readUInt8(0) !== FAMILY.BRIDGE) return undefined;
  const attributes = parseAttributes(payload.subarray(12));
  const mac = attributes.get(ND.A_LLADDR);
  if (mac?.length !== 6) return undefined;
  const dst = attributes.get(ND.A_DST);
  return { index: payload.readInt32LE(4), mac: formatMac(mac), ...(dst ? { dst: ipText(dst) } : {}) };
}

function u32(attributes: Attributes, type: number): number {
  const payload = attributes.get(type);
  return payload && payload.length >= 4 ? payload.readUInt32LE(0) : 0;
}

function ipText(bytes: Buffer): string {
  const ip: Ip = { family: bytes.length === 4 ? 4 : 6, bytes };
  return formatIp(ip);
}
