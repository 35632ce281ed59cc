import { type Cidr, cidrContains, formatIp, type Ip } from "#base/ip.ts";
import type { Conntrack, Flow } from "#kernel/conntrack/index.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, ServiceAddress } from "./model/index.ts";

/** What flows are compared with: an address, and the endpoints that may have its flows. */
export type FlowPlace = ServiceAddress & Pick<Frontend, "choice">;

/** What an address was and is for flows. A `FrontendChange` is one. */
export interface FlowChange {
  readonly before?: FlowPlace;
  readonly after?: FlowPlace;
}

/** Networks in which every address is a Service's, or nobody's. */
export interface ServiceNetworks {
  readonly cidrs: readonly Cidr[];
  /** Whether a Service has the address now, be it another proxy's. */
  isServed(address: ServiceAddress): boolean;
}

/**
 * Removes UDP connections that still lead to where their Service no longer does. UDP knows no end of a connection: a
 * client that keeps its port would talk to a vanished endpoint for as long as it talks. TCP is left alone, as by
 * kube-proxy.
 * @param networks where flows to addresses that no Service has are removed as well. Absent: nowhere
 * @returns how many were removed, by family
 */
export function cleanStaleFlows(
  conntrack: Conntrack,
  changes: readonly FlowChange[],
  networks?: ServiceNetworks,
): Record<4 | 6, number> {
  const removed = { 4: 0, 6: 0 };
  for (const family of [4, 6] as const) {
    const concerned = changes.filter((change) => familyOf(change) === family && mayBeStale(change));
    const isSwept = networks?.cidrs.some(({ ip }) => ip.family === family) ?? false;
    if (concerned.length === 0 && !isSwept) continue;
    const flows = isSwept ? conntrack.list({ family, protocol: protocols.UDP }) : flowsTo(conntrack, family, concerned);
    const stale = new Set(staleFlows(concerned, flows));
    if (networks) for (const flow of flows) if (isUnserved(flow, networks)) stale.add(flow);
    removed[family] = conntrack.delete([...stale]);
  }
  return removed;
}

/** To so many addresses flows are asked for one by one: the kernel then gives no others, of which there may be very many. */
const FEW_ADDRESSES = 4;

function flowsTo(conntrack: Conntrack, family: 4 | 6, changes: readonly FlowChange[]): Flow[] {
  const udp = { family, protocol: protocols.UDP };
  if (changes.length > FEW_ADDRESSES) return conntrack.list(udp);
  return changes.flatMap(({ before, after }) => {
    const place = after ?? before;
    return place ? conntrack.list({ ...udp, destination: { destination: place.ip, destinationPort: place.port } }) : [];
  });
}

/** Whether connections to an address are looked at when it changes: those of UDP alone. */
export function leavesFlows({ before, after }: FlowChange): boolean {
  return (after ?? before)?.protocol === protocols.UDP;
}

/** The flows that no longer lead to where they would if they began now. Pure. */
export function staleFlows(changes: readonly FlowChange[], flows: readonly Flow[]): Flow[] {
  const byAddress = new Map<string, ReadonlySet<string>>();
  for (const { before, after } of changes) {
    const frontend = after ?? before;
    if (frontend) byAddress.set(addressText(frontend.ip, frontend.port), after ? servingTexts(after) : new Set());
  }
  return flows.filter(({ original, reply }) => {
    const address = addressText(original.destination, original.destinationPort);
    const serving = byAddress.get(address);
    if (!serving) return false;
    const target = addressText(reply.source, reply.sourcePort);
    // A flow that was not translated began before the Service had endpoints; one of no Service is not ours.
    return target === address ? serving.size > 0 : !serving.has(target);
  });
}

/** Whether a flow was led on from an address of Services that none of them has. */
function isUnserved({ original, reply }: Flow, { cidrs, isServed }: ServiceNetworks): boolean {
  const { destination: ip, destinationPort: port, protocol } = original;
  if (!cidrs.some((cidr) => cidrContains(cidr, ip))) return false;
  const isLedOn = addressText(ip, port) !== addressText(reply.source, reply.sourcePort);
  return isLedOn && !isServed({ ip, protocol, port });
}

function familyOf({ before, after }: FlowChange): 4 | 6 | undefined {
  return (after ?? before)?.ip.family;
}

/** Only endpoints that went, or the first ones that came, leave flows behind. */
function mayBeStale({ before, after }: FlowChange): boolean {
  if ((after ?? before)?.protocol !== protocols.UDP) return false;
  if (!before || !after) return true;
  const now = servingTexts(after);
  const then = servingTexts(before);
  return (then.size === 0 && now.size > 0) || [...then].some((target) => !now.has(target));
}

function servingTexts({ choice }: FlowPlace): ReadonlySet<string> {
  return new Set(choice.serving.map(({ ip, port }) => addressText(ip, port)));
}

function addressText(ip: Ip, port: number): string {
  return `${formatIp(ip)} ${port}`;
}
