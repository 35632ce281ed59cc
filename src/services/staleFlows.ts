import { formatIp, type Ip } from "#base/ip.ts";
import type { Conntrack, Flow } from "#kernel/conntrack/index.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, FrontendChange } from "./model/index.ts";

/**
 * Removes UDP connections that still lead to where their Service no longer does. UDP knows no end of a connection: a
 * client that keeps its port would talk to a vanished endpoint for as long as it talks. TCP is left alone, as by
 * kube-proxy.
 * @returns how many were removed, by family
 */
export function cleanStaleFlows(conntrack: Conntrack, changes: readonly FrontendChange[]): Record<4 | 6, number> {
  const removed = { 4: 0, 6: 0 };
  for (const family of [4, 6] as const) {
    const concerned = changes.filter((change) => familyOf(change) === family && mayBeStale(change));
    if (concerned.length === 0) continue;
    removed[family] = conntrack.delete(staleFlows(concerned, conntrack.list({ family, protocol: protocols.UDP })));
  }
  return removed;
}

/** Whether connections to an address are looked at when it changes: those of UDP alone. */
export function leavesFlows({ before, after }: FrontendChange): boolean {
  return (after ?? before)?.protocol === protocols.UDP;
}

/** The flows that no longer lead to where they would if they began now. Pure. */
export function staleFlows(changes: readonly FrontendChange[], flows: readonly Flow[]): Flow[] {
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

function familyOf({ before, after }: FrontendChange): 4 | 6 | undefined {
  return (after ?? before)?.ip.family;
}

/** Only endpoints that went, or the first ones that came, leave flows behind. */
function mayBeStale({ before, after }: FrontendChange): boolean {
  if ((after ?? before)?.protocol !== protocols.UDP) return false;
  if (!before || !after) return true;
  const now = servingTexts(after);
  const then = servingTexts(before);
  return (then.size === 0 && now.size > 0) || [...then].some((target) => !now.has(target));
}

function servingTexts({ choice }: Frontend): ReadonlySet<string> {
  return new Set(choice.serving.map(({ ip, port }) => addressText(ip, port)));
}

function addressText(ip: Ip, port: number): string {
  return `${formatIp(ip)} ${port}`;
}
