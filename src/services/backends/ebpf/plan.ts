import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, Target } from "../../model/index.ts";
import { addressRecord } from "./records.ts";

/** A virtual address that the programs translate. */
export interface Translated {
  /** Its record ({@link addressRecord}). */
  readonly address: string;
  /** Which list of the Service's its endpoints are; frontends with the same share it. */
  readonly list: string;
  /** The endpoints' records, each once. */
  readonly endpoints: readonly string[];
  /**
   * Of lists that clients come back to, by affinity or by a UDP flow: endpoints that still serve. Clients stay with those,
   * though they are not chosen any more.
   */
  readonly serving: readonly string[] | undefined;
  /** 0: clients do not stay. */
  readonly affinitySeconds: number;
}

/** What of a node's settings counts here. */
export interface Telling {
  /** Whether pods' traffic can be told from others' (`detectLocalMode`). */
  readonly pods: boolean;
  readonly masqueradeAll?: boolean;
}

/** An action with endpoints. */
type Balance = Extract<Frontend["action"], { readonly targets: readonly Target[] }>;

/**
 * The endpoints that are chosen from when a socket connects or sends; undefined: the rules decide, when the packet comes
 * by.
 * - No endpoints, or none that the policy allows: refusing and dropping is what rules do.
 * - loadBalancerSourceRanges: a socket has no address yet.
 * - masqueradeAll: nothing is masqueraded here, for the client's connection is to the endpoint itself.
 * - Policy Local, where pods cannot be told from others.
 * - SCTP, whose sockets the kernel asks no programs about.
 */
export function translatable({ kind, protocol, action, sources }: Frontend, tells: Telling): Balance | undefined {
  if (protocol !== protocols.TCP && protocol !== protocols.UDP) return undefined;
  if (action.kind === "reject" || action.kind === "drop" || action.targets.length === 0 || sources) return undefined;
  if (kind === "ClusterIP" && tells.masqueradeAll) return undefined;
  return action.kind === "balance-local" && !tells.pods ? undefined : action;
}

/** What the programs do with a frontend; undefined when nothing ({@link translatable}). */
export function translated(frontend: Frontend, tells: Telling): Translated | undefined {
  const action = translatable(frontend, tells);
  if (!action) return undefined;
  const { ip, port, protocol, origin, affinitySeconds = 0, choice } = frontend;
  const isLocal = action.kind === "balance" && action.isLocal === true;
  const records = (targets: readonly Target[]) => [
    ...new Set(targets.map((target) => addressRecord(target.ip, target.port, protocol))),
  ];
  const isKept = affinitySeconds > 0 || protocol === protocols.UDP;
  return {
    address: addressRecord(ip, port, protocol),
    list: `${origin.field} ${ip.family} ${isLocal ? "local" : "all"}`,
    endpoints: records(action.targets),
    serving: isKept ? records(choice.serving) : undefined,
    affinitySeconds,
  };
}
