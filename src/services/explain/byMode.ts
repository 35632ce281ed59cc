import { protocols } from "#kernel/nft/index.ts";
import { type ProxyMode, translatable } from "../backends/index.ts";
import type { ClientKind, ClientOutcome, Frontend } from "../model/index.ts";

/** What happens to a client's new connections in a mode. */
export type ModeOutcome = Omit<ClientOutcome, "masquerade"> & {
  readonly masquerade: ClientOutcome["masquerade"] | "never";
  /** It is the mode that says so. */
  readonly byMode?: true;
};

/** What a mode makes of what its rules would do. */
export function inMode(
  outcome: ClientOutcome,
  frontend: Frontend,
  client: ClientKind,
  { mode, tells }: { readonly mode: ProxyMode; readonly tells: Parameters<typeof translatable>[1] },
): ModeOutcome {
  if (outcome.verdict !== "balance") return outcome;
  if (mode === "userspace") return relayed(outcome, frontend);
  if (mode === "ebpf" && client !== "outside" && translatable(frontend, tells)) {
    const because = "a program connects the socket to the endpoint itself";
    return { ...outcome, masquerade: "never", because, byMode: true };
  }
  return mode === "ipvs" ? scheduled(outcome, frontend, client) : outcome;
}

/**
 * A virtual server of the ipvs mode has one list for all clients, and a connection of the node itself has the Service's
 * address as its source, with which nobody elsewhere could answer.
 */
function scheduled(outcome: ClientOutcome, { action }: Frontend, client: ClientKind): ModeOutcome {
  if (client === "node" && outcome.masquerade !== "always") {
    const because = "in the ipvs mode the node's source is the Service's address";
    return { ...outcome, masquerade: "always", because, byMode: true };
  }
  if (action.kind !== "balance-local" || action.local.length === 0 || outcome.targets === action.local) return outcome;
  const because = `${outcome.because}; in the ipvs mode to the endpoints on this node, since there are some`;
  return { ...outcome, targets: action.local, because, byMode: true };
}

/** The userspace mode's process is who connects to endpoints. */
function relayed(outcome: ClientOutcome, { protocol }: Frontend): ModeOutcome {
  const byMode = true as const;
  if (protocol !== protocols.SCTP)
    return { ...outcome, masquerade: "always", because: "a process of the node makes the connection anew", byMode };
  const because = "SCTP is not supported for user space proxy";
  return { verdict: "reject", targets: [], masquerade: "hairpin", because, byMode };
}
