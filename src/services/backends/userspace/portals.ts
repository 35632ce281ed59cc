import type { Ip } from "#base/ip.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, Target } from "../../model/index.ts";

/** Which endpoints: those for traffic policy Cluster, or for Local. */
type Scope = "cluster" | "local";

/** What one proxy port is for: a port of a Service in one family, with all its addresses. */
export interface Portal {
  /** Identity: family, label, protocol, scope. */
  readonly key: string;
  /** `namespace/name:port` */
  readonly label: string;
  readonly family: 4 | 6;
  /** TCP or UDP. */
  readonly protocol: number;
  readonly targets: readonly Target[];
  /** Flows to these go on. */
  readonly serving: readonly Target[];
  readonly affinitySeconds?: number;
}

/** Whether a process can relay it. */
export function isRelayed({ protocol }: Pick<Frontend, "protocol">): boolean {
  return protocol === protocols.TCP || protocol === protocols.UDP;
}

/** The proxy ports that a Service needs, by their key. Pure. */
export function portalsOf(frontends: readonly Frontend[]): Map<string, Portal> {
  const portals = new Map<string, Portal>();
  for (const frontend of frontends.filter(isRelayed)) {
    const { label, protocol, choice, affinitySeconds, ip } = frontend;
    for (const [scope, targets] of scopesOf(frontend)) {
      const key = portalKey(frontend, scope);
      portals.set(key, {
        ...{ key, label, family: ip.family, protocol, targets, serving: choice.serving },
        ...(affinitySeconds !== undefined && { affinitySeconds }),
      });
    }
  }
  return portals;
}

/**
 * A frontend as the rules have it: its only endpoint is the proxy port. Where there is none, connections are refused.
 * Pure.
 * @param at where a portal is served; undefined when it is not
 */
export function redirected(
  frontend: Frontend,
  at: (key: string) => { readonly ip: Ip; readonly port: number } | undefined,
): Frontend {
  // The process remembers clients; rules that did too would only hold them twice.
  const { affinitySeconds: _, action, ...rest } = frontend;
  const ports = new Map<Scope, Target>();
  for (const [scope] of scopesOf(frontend)) {
    const place = at(portalKey(frontend, scope));
    if (place) ports.set(scope, { ...place, isLocal: true, origin: frontend.origin });
  }
  const listed = (scope: Scope): readonly Target[] => [ports.get(scope)].filter((port) => port !== undefined);
  const serving = [...ports.values()];
  const choice = { serving };
  const isRefused = action.kind === "reject" || (action.kind !== "drop" && serving.length < scopesOf(frontend).length);
  if (isRefused) return { ...rest, action: { kind: "reject" }, choice };
  switch (action.kind) {
    case "drop":
      return { ...rest, action, choice };
    case "balance":
      return { ...rest, action: { ...action, targets: listed(action.isLocal ? "local" : "cluster") }, choice };
    case "balance-local":
      return { ...rest, action: { ...action, targets: listed("cluster"), local: listed("local") }, choice };
  }
}

function portalKey({ ip, protocol, label }: Frontend, scope: Scope): string {
  return `${ip.family} ${label} ${protocol} ${scope}`;
}

/** The lists of endpoints that a frontend's connections are spread over. */
function scopesOf({ action }: Frontend): [Scope, readonly Target[]][] {
  if (action.kind === "balance") return [[action.isLocal ? "local" : "cluster", action.targets]];
  if (action.kind !== "balance-local") return [];
  const { targets, local } = action;
  return local.length
    ? [
        ["cluster", targets],
        ["local", local],
      ]
    : [["cluster", targets]];
}
