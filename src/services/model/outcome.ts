import type { Frontend, Target } from "./frontend.ts";

/** Who makes a connection: a pod of this node, the node itself, or anybody else. */
export type ClientKind = "pod" | "node" | "outside";

/** What a frontend does for a client. */
export interface ClientOutcome {
  readonly verdict: "balance" | "reject" | "drop";
  readonly targets: readonly Target[];
  /**
   * Whether the target sees the node's address in place of the client's. `hairpin`: only where the target is the client
   * itself.
   */
  readonly masquerade: "always" | "hairpin";
  readonly because: string;
}

/**
 * What happens to a new connection to a frontend. Pure.
 * @param tells whether the node can tell pods' traffic (`detectLocalMode`), and masquerades all of it
 */
export function outcomeFor(
  { kind, action }: Frontend,
  client: ClientKind,
  tells: { readonly pods: boolean; readonly masqueradeAll?: boolean },
): ClientOutcome {
  if (action.kind === "reject") return nothing("reject", "the Service has no endpoints");
  if (action.kind === "drop") return nothing("drop", "spec.internalTrafficPolicy is Local, and none is on this node");
  if (action.kind === "balance-local") return localOutcome(action, client, tells.pods);
  const { targets } = action;
  if (kind !== "ClusterIP") {
    const because = "external traffic may leave the node again, and has to come back through it";
    return { verdict: "balance", targets, masquerade: "always", because };
  }
  if (tells.masqueradeAll) return { verdict: "balance", targets, masquerade: "always", because: "masqueradeAll" };
  const isOutside = tells.pods && client !== "pod";
  const because = isOutside ? "it does not come from a pod" : "pods keep their address";
  return { verdict: "balance", targets, masquerade: isOutside ? "always" : "hairpin", because };
}

function localOutcome(
  { targets, local }: Extract<Frontend["action"], { kind: "balance-local" }>,
  client: ClientKind,
  tellsPods: boolean,
): ClientOutcome {
  const around = "as if it had gone out to a load balancer and come back";
  if (client === "node") return { verdict: "balance", targets, masquerade: "always", because: around };
  if (client === "pod" && tellsPods) return { verdict: "balance", targets, masquerade: "hairpin", because: around };
  if (local.length === 0) return nothing("drop", "spec.externalTrafficPolicy is Local, and none is on this node");
  const because = "spec.externalTrafficPolicy is Local: the client's address stays";
  return { verdict: "balance", targets: local, masquerade: "hairpin", because };
}

function nothing(verdict: "reject" | "drop", because: string): ClientOutcome {
  return { verdict, targets: [], masquerade: "hairpin", because };
}
