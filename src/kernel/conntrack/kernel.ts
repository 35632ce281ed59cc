import type { Ip } from "#base/ip.ts";
import {
  type Attributes,
  eachAttribute,
  MessageWriter,
  NETLINK,
  NetlinkError,
  type NetlinkMessage,
  NetlinkSocket,
  NLM_F,
  parseAttributes,
} from "#kernel/netlink/index.ts";
import { type Conntrack, type Flow, type FlowFilter, leadsTo, type Tuple } from "./flow.ts";

/** Message types: NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_* (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
const MSG = { GET: 0x101, DELETE: 0x102 } as const;
/** Attributes of the same header. */
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, FILTER: 25 } as const;
const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
const CTA_IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
const CTA_PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3 } as const;
const CTA_FILTER = { ORIG_FLAGS: 1, REPLY_FLAGS: 2 } as const;
/** Bits of a filter's flags: what is compared (CTA_FILTER_F_CTA_*). */
const FILTER = { IP_DST: 1 << 1, PROTO_NUM: 1 << 3, PROTO_DST_PORT: 1 << 5 } as const;

const FAMILY = { 4: 2, 6: 10 } as const;
const HEADER_BYTES = 4;
/** Deletions in one send. */
const DELETIONS = 1000;
const ENOENT = 2;

/**
 * Connection tracking of the network namespace that is current now.
 * @throws SysError
 */
export function openConntrack(): Conntrack {
  return new KernelConntrack();
}

class KernelConntrack implements Conntrack {
  readonly #socket = new NetlinkSocket(NETLINK.NETFILTER);

  list({ family, protocol, destination }: FlowFilter): Flow[] {
    const writer = begin(new MessageWriter(256), MSG.GET, NLM_F.DUMP, family);
    if (protocol !== undefined) writeFilter(writer, family, protocol, destination);
    const flows = this.#socket.dump(writer.end()).map(readFlow);
    // The kernel may give more.
    return flows.filter(
      (flow) => flow !== undefined && (!destination || leadsTo(flow.original, destination)),
    ) as Flow[];
  }

  delete(flows: readonly Flow[]): number {
    let missing = 0;
    for (let from = 0; from < flows.length; from += DELETIONS) {
      const writer = new MessageWriter();
      for (const { original } of flows.slice(from, from + DELETIONS)) {
        begin(writer, MSG.DELETE, 0, original.source.family);
        writeTuple(writer, CTA.TUPLE_ORIG, original);
        writer.end();
      }
      try {
        this.#socket.execute(writer, () => "delete connection");
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.failures.some(({ errno }) => errno !== ENOENT)) throw error;
        missing += error.failures.length;
      }
    }
    return flows.length - missing;
  }

  close(): void {
    this.#socket.close();
  }
}

function begin(writer: MessageWriter, type: number, flags: number, family: 4 | 6): MessageWriter {
  return writer.begin(type, flags).u8(FAMILY[family]).u8(0).u16be(0);
}

/**
 * The kernel leaves out other protocols and destinations (Linux 5.8 and newer). Not other addresses of IPv6: its
 * comparison of those gives all but the wanted one (ctnetlink_filter_match_tuple, seen in 6.18).
 */
function writeFilter(writer: MessageWriter, family: 4 | 6, protocol: number, to: FlowFilter["destination"]): void {
  writer.nest(CTA.TUPLE_ORIG, () => {
    if (to && family === 4) writer.nest(CTA_TUPLE.IP, () => writer.attribute(CTA_IP.V4_DST, to.destination.bytes));
    writer.nest(CTA_TUPLE.PROTO, () => {
      writer.attributeU8(CTA_PROTO.NUM, protocol);
      if (to) writer.attributeU16be(CTA_PROTO.DST_PORT, to.destinationPort);
    });
  });
  const ofDestination = to ? FILTER.PROTO_DST_PORT | (family === 4 ? FILTER.IP_DST : 0) : 0;
  writer.nest(CTA.FILTER, () => {
    writer.attributeU32(CTA_FILTER.ORIG_FLAGS, FILTER.PROTO_NUM | ofDestination);
    writer.attributeU32(CTA_FILTER.REPLY_FLAGS, 0);
  });
}

function writeTuple(writer: MessageWriter, type: number, tuple: Tuple): void {
  const isV4 = tuple.source.family === 4;
  writer.nest(type, () => {
    writer.nest(CTA_TUPLE.IP, () => {
      writer.attribute(isV4 ? CTA_IP.V4_SRC : CTA_IP.V6_SRC, tuple.source.bytes);
      writer.attribute(isV4 ? CTA_IP.V4_DST : CTA_IP.V6_DST, tuple.destination.bytes);
    });
    writer.nest(CTA_TUPLE.PROTO, () => {
      writer.attributeU8(CTA_PROTO.NUM, tuple.protocol);
      writer.attributeU16be(CTA_PROTO.SRC_PORT, tuple.sourcePort);
      writer.attributeU16be(CTA_PROTO.DST_PORT, tuple.destinationPort);
    });
  });
}

function readFlow(message: NetlinkMessage): Flow | undefined {
  let original: Tuple | undefined;
  let reply: Tuple | undefined;
  eachAttribute(message.payload.subarray(HEADER_BYTES), (type, payload) => {
    if (type === CTA.TUPLE_ORIG) original = readTuple(parseAttributes(payload));
    if (type === CTA.TUPLE_REPLY) reply = readTuple(parseAttributes(payload));
  });
  return original && reply && { original, reply };
}

function readTuple(tuple: Attributes): Tuple | undefined {
  const addresses = parseAttributes(tuple.get(CTA_TUPLE.IP) ?? Buffer.alloc(0));
  const protocol = parseAttributes(tuple.get(CTA_TUPLE.PROTO) ?? Buffer.alloc(0));
  const source = readIp(addresses, CTA_IP.V4_SRC, CTA_IP.V6_SRC);
  const destination = readIp(addresses, CTA_IP.V4_DST, CTA_IP.V6_DST);
  if (!source || !destination) return undefined;
  return {
    source,
    destination,
    protocol: protocol.get(CTA_PROTO.NUM)?.[0] ?? 0,
    sourcePort: protocol.get(CTA_PROTO.SRC_PORT)?.readUInt16BE() ?? 0,
    destinationPort: protocol.get(CTA_PROTO.DST_PORT)?.readUInt16BE() ?? 0,
  };
}

function readIp(attributes: Attributes, v4: number, v6: number): Ip | undefined {
  const four = attributes.get(v4);
  if (four) return { family: 4, bytes: Uint8Array.from(four) };
  const six = attributes.get(v6);
  return six && { family: 6, bytes: Uint8Array.from(six) };
}
