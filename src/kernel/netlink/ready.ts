import { setTimeout as sleep } from "node:timers/promises";
import { formatIp, type Ip, parseCidr, parseIp } from "#base/ip.ts";
import type { Rtnetlink } from "./driver.ts";
import type { Address } from "./model.ts";

/** What has to be ready in one namespace. */
export interface ReadinessWish {
  readonly rtnl: Rtnetlink;
  /** Devices by index, ports before their bridge. */
  readonly links: readonly number[];
  /** Addresses that others will ask for. */
  readonly addresses?: readonly Address[];
}

/**
 * Waits until packets pass: devices operational, and forwarding if they are ports of a bridge; IPv6 addresses found by
 * neighbour solicitations.
 *
 * The kernel does both in queues: a device that came up drops packets until the link watch has run, and a new IPv6
 * address hears no solicitations until its group is joined. That takes from microseconds to a second. The packet lost
 * meanwhile is an ARP request or solicitation, of which the next goes out a whole second later.
 * Kernels from 6.8 run the link watch for a device when they are asked about it (rtnl_getlink), so that one look is
 * mostly enough; on older ones this looks again after 1, 2, 4, … 20 ms.
 * @returns false when something is still not ready after `timeoutMs`, or is gone
 */
export async function waitUntilReady(wishes: readonly ReadinessWish[], timeoutMs = 2000): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (let wait = 1; !isReady(wishes); wait = Math.min(20, wait * 2)) {
    if (performance.now() > deadline) return false;
    await sleep(wait);
  }
  return true;
}

/** One look of {@link waitUntilReady}: whether packets pass now. */
export function isReady(wishes: readonly ReadinessWish[]): boolean {
  // All are asked about, in turn: a port that starts to forward gives its bridge a carrier.
  const states = wishes.flatMap(({ rtnl, links, addresses }) => [
    ...links.map((index) => passes(rtnl, index)),
    ...(addresses ?? []).map((address) => hears(rtnl, address)),
  ]);
  return !states.includes(false);
}

function passes(rtnl: Rtnetlink, index: number): boolean {
  const link = rtnl.link({ index });
  return link?.operState === "up" && (link.port === undefined || link.port === "forwarding");
}

function hears(rtnl: Rtnetlink, { index, address }: Address): boolean {
  const { ip } = parseCidr(address);
  return ip.family === 4 || rtnl.groups(index).includes(solicitedNode(ip));
}

/** The multicast group in which neighbours ask for an IPv6 address (RFC 4291 section 2.7.1). */
export function solicitedNode(ip: Ip): string {
  const bytes = Uint8Array.from(parseIp("ff02::1:ff00:0").bytes);
  bytes.set(ip.bytes.subarray(13), 13);
  return formatIp({ family: 6, bytes });
}
