import { type Cidr, cidrLast, parseCidr, parseIp, parseNetwork } from "#base/ip.ts";
import { FAMILY, IFA, ND, NLM_F, ROUTE_PROTOCOL_PODWIRE, RT, RTM } from "./constants.ts";
import { encodeLinkOperation } from "./encodeLink.ts";
import { parseMac } from "./mac.ts";
import type { MessageWriter } from "./messageWriter.ts";
import type { Address, Operation, Route, RouteType } from "./model.ts";

/** Numbers of route types (RTN_*, include/uapi/linux/rtnetlink.h). */
export const routeTypes: Readonly<Record<RouteType, number>> = {
  unicast: 1,
  local: 2,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
};

/** Numbers of neighbour states (NUD_*, include/uapi/linux/neighbour.h). */
export const neighbourStates = {
  none: 0,
  incomplete: 0x01,
  reachable: 0x02,
  stale: 0x04,
  delay: 0x08,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;

/**
 * Writes the message of one operation.
 * @throws AddressError, RangeError when a value cannot be encoded
 */
export function encodeOperation(writer: MessageWriter, operation: Operation): void {
  switch (operation.op) {
    case "add-address":
      return encodeAddress(writer, RTM.NEWADDR, NLM_F.CREATE | NLM_F.EXCL, operation);
    case "delete-address":
      return encodeAddress(writer, RTM.DELADDR, 0, operation);
    case "add-route":
      return encodeRoute(
        writer,
        RTM.NEWROUTE,
        NLM_F.CREATE | (operation.replace ? NLM_F.REPLACE : NLM_F.EXCL),
        operation,
      );
    case "delete-route":
      return encodeRoute(writer, RTM.DELROUTE, 0, operation);
    case "add-neighbour": {
      const state = neighbourStates[operation.state ?? "permanent"];
      return encodeNeighbour(writer, RTM.NEWNEIGH, { ...operation, state });
    }
    case "delete-neighbour":
      return encodeNeighbour(writer, RTM.DELNEIGH, { ...operation, state: 0 });
    case "add-fdb":
      return encodeFdb(writer, RTM.NEWNEIGH, operation);
    case "delete-fdb":
      return encodeFdb(writer, RTM.DELNEIGH, operation);
    default:
      return encodeLinkOperation(writer, operation);
  }
}

/** struct ifaddrmsg: family, prefix length, flags, scope, device index. */
function encodeAddress(writer: MessageWriter, type: number, flags: number, { index, address }: Address): void {
  const cidr = parseCidr(address);
  const ip4 = cidr.ip.family === 4;
  writer
    .begin(type, flags)
    .u8(ip4 ? FAMILY.INET : FAMILY.INET6)
    .u8(cidr.prefix)
    .u8(0)
    .u8(0)
    .u32(index);
  writer.attribute(IFA.LOCAL, cidr.ip.bytes).attribute(IFA.ADDRESS, cidr.ip.bytes);
  if (type === RTM.NEWADDR) {
    if (ip4 && cidr.prefix < 31) writer.attribute(IFA.BROADCAST, cidrLast(cidr).bytes);
    if (!ip4) writer.attributeU32(IFA.FLAGS, IFA.F_NODAD);
  }
  writer.end();
}

/** How far away a route's destination is (rtm_scope). */
function scopeOf({ type = "unicast", via }: Route): number {
  if (type === "local") return RT.SCOPE_HOST;
  return type === "unicast" && via === undefined ? RT.SCOPE_LINK : RT.SCOPE_UNIVERSE;
}

/** struct rtmsg: family, prefix lengths of destination and source, TOS, table, protocol, scope, type, flags. */
function encodeRoute(writer: MessageWriter, message: number, flags: number, route: Route): void {
  const dst: Cidr = parseNetwork(route.dst);
  const table = route.table ?? RT.TABLE_MAIN;
  const type = routeTypes[route.type ?? "unicast"];
  // A deletion matches any scope when told "nowhere".
  const scope = message === RTM.DELROUTE ? RT.SCOPE_NOWHERE : scopeOf(route);
  const protocol = route.protocol ?? (message === RTM.DELROUTE ? 0 : ROUTE_PROTOCOL_PODWIRE);
  writer.begin(message, flags);
  writer
    .u8(dst.ip.family === 4 ? FAMILY.INET : FAMILY.INET6)
    .u8(dst.prefix)
    .u8(0)
    .u8(0);
  writer
    .u8(table < 256 ? table : 0)
    .u8(protocol)
    .u8(scope)
    .u8(type)
    .u32(route.onlink ? RT.F_ONLINK : 0);
  if (dst.prefix > 0) writer.attribute(RT.A_DST, dst.ip.bytes);
  if (route.via !== undefined) writer.attribute(RT.A_GATEWAY, parseIp(route.via).bytes);
  if (route.index !== undefined) writer.attributeU32(RT.A_OIF, route.index);
  if (route.source !== undefined) writer.attribute(RT.A_PREFSRC, parseIp(route.source).bytes);
  if (route.metric !== undefined) writer.attributeU32(RT.A_PRIORITY, route.metric);
  writer.attributeU32(RT.A_TABLE, table).end();
}

/** struct ndmsg: family, padding, device index, state, flags, type. */
function encodeNeighbour(
  writer: MessageWriter,
  type: number,
  entry: { index: number; ip: string; mac?: string; state: number; externLearned?: boolean },
): void {
  const ip = parseIp(entry.ip);
  writer.begin(type, type === RTM.NEWNEIGH ? NLM_F.CREATE | NLM_F.REPLACE : 0);
  writer
    .u8(ip.family === 4 ? FAMILY.INET : FAMILY.INET6)
    .u8(0)
    .u16(0)
    .i32(entry.index);
  writer
    .u16(entry.state)
    .u8(entry.externLearned ? ND.F_EXT_LEARNED : 0)
    .u8(1);
  writer.attribute(ND.A_DST, ip.bytes);
  if (entry.mac !== undefined) writer.attribute(ND.A_LLADDR, parseMac(entry.mac));
  writer.end();
}

function encodeFdb(writer: MessageWriter, type: number, entry: { index: number; mac: string; dst: string }): void {
  writer.begin(type, type === RTM.NEWNEIGH ? NLM_F.CREATE | NLM_F.REPLACE : 0);
  writer.u8(FAMILY.BRIDGE).u8(0).u16(0).i32(entry.index).u16(neighbourStates.permanent).u8(ND.F_SELF).u8(0);
  writer.attribute(ND.A_LLADDR, parseMac(entry.mac)).attribute(ND.A_DST, parseIp(entry.dst).bytes).end();
}
