import type { Ip } from "#base/ip.ts";
import {
  type Attributes,
  attributeText,
  MessageWriter,
  type NetlinkMessage,
  NLM_F,
  parseAttributes,
} from "#kernel/netlink/index.ts";
import { AF, CMD_ATTR, DEST_ATTR, FORWARD_MASQ, GENL, IPVS_CMD, SVC_ATTR, SVC_F } from "./constants.ts";
import type { IpvsOperation, IpvsTimeouts, RealServer, RealServerState, ServerKey, VirtualServer } from "./model.ts";

/** struct genlmsghdr: command, version, two reserved bytes. */
const HEADER_BYTES = 4;
const VERSION = 1;
/** Bytes of union nf_inet_addr, in which every address comes. */
const ADDRESS_BYTES = 16;
const ALL_BITS = 0xffff_ffff;

const commands = {
  "add-server": IPVS_CMD.NEW_SERVICE,
  "set-server": IPVS_CMD.SET_SERVICE,
  "delete-server": IPVS_CMD.DEL_SERVICE,
  "add-real": IPVS_CMD.NEW_DEST,
  "set-real": IPVS_CMD.SET_DEST,
  "delete-real": IPVS_CMD.DEL_DEST,
} as const;

/** Asks for the number of a generic netlink family. */
export function familyRequest(name: string): MessageWriter {
  const writer = new MessageWriter(64);
  return begin(writer, GENL.CTRL, GENL.GETFAMILY).attributeText(GENL.FAMILY_NAME, name).end();
}

/** The number out of the answer to {@link familyRequest}; undefined when it is not in it. */
export function readFamily(message: NetlinkMessage): number | undefined {
  return parseAttributes(message.payload.subarray(HEADER_BYTES)).get(GENL.FAMILY_ID)?.readUInt16LE();
}

/** Writes the message of an operation. @param family number of the family "IPVS" */
export function encodeOperation(writer: MessageWriter, family: number, operation: IpvsOperation): void {
  begin(writer, family, commands[operation.op]);
  if (operation.op === "add-server" || operation.op === "set-server") writeServer(writer, operation.server);
  else writer.nest(CMD_ATTR.SERVICE, () => writeKey(writer, operation.server));
  if ("real" in operation) writeReal(writer, operation.real);
  writer.end();
}

/** Asks for all virtual servers. */
export function serversRequest(family: number): MessageWriter {
  return begin(new MessageWriter(64), family, IPVS_CMD.GET_SERVICE, NLM_F.DUMP).end();
}

/** Asks for the real servers of one. */
export function realServersRequest(family: number, server: ServerKey): MessageWriter {
  const writer = begin(new MessageWriter(128), family, IPVS_CMD.GET_DEST, NLM_F.DUMP);
  return writer.nest(CMD_ATTR.SERVICE, () => writeKey(writer, server)).end();
}

/** Sets what is not 0. */
export function timeoutsRequest(family: number, { tcp, tcpFin, udp }: IpvsTimeouts): MessageWriter {
  return begin(new MessageWriter(64), family, IPVS_CMD.SET_CONFIG)
    .attributeU32(CMD_ATTR.TIMEOUT_TCP, tcp)
    .attributeU32(CMD_ATTR.TIMEOUT_TCP_FIN, tcpFin)
    .attributeU32(CMD_ATTR.TIMEOUT_UDP, udp)
    .end();
}

/** A virtual server of a dump; undefined for one by firewall mark. */
export function readServer(message: NetlinkMessage): VirtualServer | undefined {
  const server = attributesIn(message, CMD_ATTR.SERVICE);
  const protocol = server.get(SVC_ATTR.PROTOCOL)?.readUInt16LE();
  const port = server.get(SVC_ATTR.PORT)?.readUInt16BE();
  const ip = readIp(server.get(SVC_ATTR.AF), server.get(SVC_ATTR.ADDR));
  if (!ip || protocol === undefined || port === undefined) return undefined;
  const flags = server.get(SVC_ATTR.FLAGS)?.readUInt32LE() ?? 0;
  return {
    ...{ ip, protocol, port },
    scheduler: attributeText(server.get(SVC_ATTR.SCHED_NAME) ?? Buffer.alloc(0)),
    ...(flags & SVC_F.PERSISTENT && { persistentSeconds: server.get(SVC_ATTR.TIMEOUT)?.readUInt32LE() ?? 0 }),
    ...(flags & SVC_F.SCHED_PORT && { hashesPort: true }),
  };
}

/** A real server of a dump. @param family of its virtual server, for kernels that do not say it (before Linux 3.18) */
export function readReal(message: NetlinkMessage, family: 4 | 6): RealServerState | undefined {
  const real = attributesIn(message, CMD_ATTR.DEST);
  const ip = readIp(real.get(DEST_ATTR.ADDR_FAMILY), real.get(DEST_ATTR.ADDR), family);
  const number = (type: number) => real.get(type)?.readUInt32LE() ?? 0;
  return (
    ip && {
      ip,
      port: real.get(DEST_ATTR.PORT)?.readUInt16BE() ?? 0,
      weight: number(DEST_ATTR.WEIGHT),
      activeConnections: number(DEST_ATTR.ACTIVE_CONNS),
      inactiveConnections: number(DEST_ATTR.INACT_CONNS),
    }
  );
}

function begin(writer: MessageWriter, type: number, command: number, flags = 0): MessageWriter {
  return writer.begin(type, flags).u8(command).u8(VERSION).u16(0);
}

function writeKey(writer: MessageWriter, { ip, protocol, port }: ServerKey): void {
  writer.attributeU16(SVC_ATTR.AF, AF[ip.family]).attributeU16(SVC_ATTR.PROTOCOL, protocol);
  writer.attribute(SVC_ATTR.ADDR, padded(ip)).attributeU16be(SVC_ATTR.PORT, port);
}

function writeServer(writer: MessageWriter, server: VirtualServer): void {
  const { scheduler, persistentSeconds, hashesPort, ip } = server;
  const flags = (persistentSeconds === undefined ? 0 : SVC_F.PERSISTENT) | (hashesPort ? SVC_F.SCHED_PORT : 0);
  writer.nest(CMD_ATTR.SERVICE, () => {
    writeKey(writer, server);
    writer.attributeText(SVC_ATTR.SCHED_NAME, scheduler);
    // struct ip_vs_flags: the flags, and which of them are meant.
    writer.attribute(SVC_ATTR.FLAGS, pair(flags, ALL_BITS));
    writer.attributeU32(SVC_ATTR.TIMEOUT, persistentSeconds ?? 0);
    // Clients are told apart by their whole address: a mask in IPv4, a prefix length in IPv6.
    writer.attributeU32(SVC_ATTR.NETMASK, ip.family === 4 ? ALL_BITS : 128);
  });
}

function writeReal(writer: MessageWriter, { ip, port, weight }: RealServer): void {
  writer.nest(CMD_ATTR.DEST, () => {
    writer.attribute(DEST_ATTR.ADDR, padded(ip)).attributeU16be(DEST_ATTR.PORT, port);
    writer.attributeU32(DEST_ATTR.FWD_METHOD, FORWARD_MASQ).attributeU32(DEST_ATTR.WEIGHT, weight);
    writer.attributeU32(DEST_ATTR.U_THRESH, 0).attributeU32(DEST_ATTR.L_THRESH, 0);
    writer.attributeU16(DEST_ATTR.ADDR_FAMILY, AF[ip.family]);
  });
}

function pair(first: number, second: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(first, 0);
  bytes.writeUInt32LE(second, 4);
  return bytes;
}

function padded({ bytes }: Ip): Uint8Array {
  const all = new Uint8Array(ADDRESS_BYTES);
  all.set(bytes);
  return all;
}

function attributesIn(message: NetlinkMessage, type: number): Attributes {
  const outer = parseAttributes(message.payload.subarray(HEADER_BYTES));
  return parseAttributes(outer.get(type) ?? Buffer.alloc(0));
}

function readIp(af: Buffer | undefined, address: Buffer | undefined, fallback?: 4 | 6): Ip | undefined {
  const number = af?.readUInt16LE();
  const family = number === AF[4] ? 4 : number === AF[6] ? 6 : fallback;
  const length = family === 4 ? 4 : ADDRESS_BYTES;
  if (!family || !address || address.length < length) return undefined;
  return { family, bytes: Uint8Array.from(address.subarray(0, length)) };
}
