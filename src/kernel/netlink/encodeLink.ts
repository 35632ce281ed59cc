import { parseIp } from "#base/ip.ts";
import { BRIDGE, FAMILY, IFF, IFLA, LINKINFO, NLM_F, RTM, VXLAN } from "./constants.ts";
import { parseMac } from "./mac.ts";
import type { MessageWriter } from "./messageWriter.ts";
import type {
  AddAltName,
  AddLink,
  DeleteGroup,
  DeleteLink,
  NewLinkSettings,
  NewVethKind,
  SetBridgePort,
  SetLink,
  VxlanKind,
} from "./model.ts";

/** Longest device name in bytes (IFNAMSIZ less the NUL, include/uapi/linux/if.h); alternative names may be longer. */
export const MAX_LINK_NAME = 15;

type LinkOperation = AddLink | SetLink | SetBridgePort | AddAltName | DeleteLink | DeleteGroup;

/** Writes the message of an operation on devices. */
export function encodeLinkOperation(writer: MessageWriter, operation: LinkOperation): void {
  switch (operation.op) {
    case "add-link":
      return encodeAdd(writer, operation);
    case "set-link":
      return encodeSet(writer, operation);
    case "set-bridge-port":
      return encodeBridgePort(writer, operation);
    case "add-altname":
      ifinfo(writer.begin(RTM.NEWLINKPROP, NLM_F.CREATE | NLM_F.EXCL | NLM_F.APPEND), operation.index);
      writer.nest(IFLA.PROP_LIST, () => writer.attributeText(IFLA.ALT_IFNAME, operation.altName)).end();
      return;
    case "delete-link":
      ifinfo(writer.begin(RTM.DELLINK), operation.index).end();
      return;
    case "delete-group":
      ifinfo(writer.begin(RTM.DELLINK), 0).attributeU32(IFLA.GROUP, operation.group).end();
      return;
  }
}

/** struct ifinfomsg: family, padding, type, device index, flags, mask of the flags that change. */
function ifinfo(
  writer: MessageWriter,
  index: number,
  flags = 0,
  change = 0,
  family: number = FAMILY.UNSPEC,
): MessageWriter {
  return writer.u8(family).u8(0).u16(0).i32(index).u32(flags).u32(change);
}

function encodeAdd(writer: MessageWriter, link: AddLink): void {
  writer.begin(RTM.NEWLINK, NLM_F.CREATE | NLM_F.EXCL);
  ifinfo(writer, link.index ?? 0, link.up ? IFF.UP : 0, link.up ? IFF.UP : 0);
  encodeSettings(writer, link);
  if (link.master !== undefined) writer.attributeU32(IFLA.MASTER, link.master);
  const { kind } = link;
  if (kind.type === "veth") singleQueue(writer);
  writer.nest(IFLA.LINKINFO, () => {
    writer.attributeText(LINKINFO.KIND, kind.type);
    if (kind.type === "veth") writer.nest(LINKINFO.DATA, () => encodePeer(writer, kind.peer));
    if (kind.type === "vxlan") writer.nest(LINKINFO.DATA, () => encodeVxlan(writer, kind));
  });
  writer.end();
}

function encodeSettings(writer: MessageWriter, link: NewLinkSettings): void {
  if (Buffer.byteLength(link.name) > MAX_LINK_NAME)
    throw new RangeError(`device name "${link.name}" is longer than 15 bytes`);
  writer.attributeText(IFLA.IFNAME, link.name);
  if (link.mac !== undefined) writer.attribute(IFLA.ADDRESS, parseMac(link.mac));
  if (link.mtu !== undefined) writer.attributeU32(IFLA.MTU, link.mtu);
  if (link.group !== undefined) writer.attributeU32(IFLA.GROUP, link.group);
}

/** One queue each way: by default the kernel makes one per processor, which costs memory and time. */
function singleQueue(writer: MessageWriter): void {
  writer.attributeU32(IFLA.NUM_TX_QUEUES, 1).attributeU32(IFLA.NUM_RX_QUEUES, 1);
}

function encodePeer(writer: MessageWriter, peer: NewVethKind["peer"]): void {
  writer.nest(LINKINFO.VETH_PEER, () => {
    ifinfo(writer, peer.index ?? 0);
    encodeSettings(writer, peer);
    singleQueue(writer);
    if (peer.netns !== undefined) writer.attributeU32(IFLA.NET_NS_FD, peer.netns);
  });
}

function encodeVxlan(writer: MessageWriter, vxlan: VxlanKind): void {
  writer.attributeU32(VXLAN.ID, vxlan.id);
  if (vxlan.link !== undefined) writer.attributeU32(VXLAN.LINK, vxlan.link);
  if (vxlan.local !== undefined) {
    const local = parseIp(vxlan.local);
    writer.attribute(local.family === 4 ? VXLAN.LOCAL : VXLAN.LOCAL6, local.bytes);
  }
  writer.attributeU8(VXLAN.LEARNING, vxlan.learning ? 1 : 0).attributeU16be(VXLAN.PORT, vxlan.port ?? 8472);
}

function encodeSet(writer: MessageWriter, link: SetLink): void {
  let flags = 0;
  let change = 0;
  for (const [bit, value] of [
    [IFF.UP, link.up],
    [IFF.PROMISC, link.promiscuous],
  ] as const) {
    if (value !== undefined) change |= bit;
    if (value) flags |= bit;
  }
  ifinfo(writer.begin(RTM.NEWLINK), link.index, flags, change);
  if (link.name !== undefined) encodeSettings(writer, { name: link.name });
  if (link.mac !== undefined) writer.attribute(IFLA.ADDRESS, parseMac(link.mac));
  if (link.mtu !== undefined) writer.attributeU32(IFLA.MTU, link.mtu);
  if (link.group !== undefined) writer.attributeU32(IFLA.GROUP, link.group);
  if (link.master !== undefined) writer.attributeU32(IFLA.MASTER, link.master);
  if (link.netns !== undefined) writer.attributeU32(IFLA.NET_NS_FD, link.netns);
  writer.end();
}

function encodeBridgePort(writer: MessageWriter, port: SetBridgePort): void {
  ifinfo(writer.begin(RTM.SETLINK), port.index, 0, 0, FAMILY.BRIDGE);
  writer.nest(IFLA.PROTINFO, () => {
    if (port.hairpin !== undefined) writer.attributeU8(BRIDGE.PORT_HAIRPIN, port.hairpin ? 1 : 0);
    if (port.isolated !== undefined) writer.attributeU8(BRIDGE.PORT_ISOLATED, port.isolated ? 1 : 0);
  });
  writer.end();
}
