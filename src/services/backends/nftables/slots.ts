import { createHash } from "node:crypto";
import { formatIp } from "#base/ip.ts";
import type { NumberedTargets, Target } from "../../model/index.ts";
import { arranged } from "../arranged.ts";

/** Bytes of an endpoint in a list: its address and port as map data, each part padded to 4. */
export const slotWidth = { ip: 8, ip6: 20 } as const;

/**
 * Endpoints as the text of their map data, one after the other: of 100,000 endpoints the table would else hold as many
 * objects. A slot of zeros is empty.
 */
export function packTargets(targets: readonly Target[], family: "ip" | "ip6"): string {
  const width = slotWidth[family];
  const bytes = Buffer.alloc(targets.length * width);
  let at = 0;
  for (const { ip, port } of targets) {
    bytes.set(ip.bytes, at);
    bytes.writeUInt16BE(port, at + width - 4);
    at += width;
  }
  return bytes.toString("latin1");
}

/** The same of targets as numbers. */
export function packNumbered({ addresses, port }: NumberedTargets): string {
  const bytes = Buffer.allocUnsafe(addresses.length * slotWidth.ip);
  let at = 0;
  for (const address of addresses) {
    // Byte by byte: for so few of them a call of what is native costs more.
    bytes[at] = address >>> 24;
    bytes[at + 1] = address >>> 16;
    bytes[at + 2] = address >>> 8;
    bytes[at + 3] = address;
    bytes[at + 4] = port >>> 8;
    bytes[at + 5] = port;
    bytes[at + 6] = bytes[at + 7] = 0;
    at += slotWidth.ip;
  }
  return bytes.toString("latin1");
}

/** Slot number `index` of a list; an empty text behind its end. */
export function slotOf(list: string, index: number, width: number): string {
  return list.slice(index * width, (index + 1) * width);
}

/** Whether there is no endpoint in a slot. */
export function isEmptySlot(slot: string): boolean {
  return slot === "" || (slot.startsWith("\0") && /^\0*$/.test(slot));
}

/**
 * The wanted list in the order that differs least from the one that is held: whoever stays keeps its number, and whoever
 * comes takes the number of one that goes. So one changed endpoint is one changed element, wherever it sorts.
 * @param first the first so many of the wanted list stay the first
 */
export function keepSlots(held: string, wanted: string, first: number, width: number): string {
  if (held === wanted || held === "") return wanted;
  const edge = first * width;
  return (
    keepPart(held.slice(0, edge), wanted.slice(0, edge), width) + keepPart(held.slice(edge), wanted.slice(edge), width)
  );
}

function keepPart(held: string, wanted: string, width: number): string {
  return arranged(slotsOf(held, width), slotsOf(wanted, width)).join("");
}

function slotsOf(list: string, width: number): string[] {
  return Array.from({ length: list.length / width }, (_, i) => slotOf(list, i, width));
}

/** Numbers of the endpoints of a list: of each slot, and whose they are. */
export interface StickyIds {
  readonly ids: readonly number[];
  readonly slots: ReadonlyMap<number, string>;
}

/**
 * A number for each endpoint which it keeps whatever else the Service has: made of its address and port.
 * The top bit keeps them apart from any priority that a packet has by itself.
 */
export function stickyIds(list: string, width: number): StickyIds {
  const slots = new Map<number, string>();
  const ids: number[] = [];
  for (let i = 0; i < list.length / width; i++) {
    const slot = slotOf(list, i, width);
    let id = (createHash("sha256").update(endpointText(slot)).digest().readUInt32LE() | 0x80000000) >>> 0;
    // Equal numbers for different endpoints of a Service: one in two thousand million.
    while ((slots.get(id) ?? slot) !== slot) id = ((id + 1) | 0x80000000) >>> 0;
    slots.set(id, slot);
    ids.push(id);
  }
  return { ids, slots };
}

function endpointText(slot: string): string {
  const bytes = Buffer.from(slot, "latin1");
  const ip = { family: bytes.length === slotWidth.ip ? 4 : 6, bytes: bytes.subarray(0, -4) } as const;
  return `${formatIp(ip)} ${bytes.readUInt16BE(bytes.length - 4)}`;
}
