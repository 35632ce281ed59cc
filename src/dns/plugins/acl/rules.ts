import { type Cidr, cidrContains, type Ip } from "#base/ip.ts";

/** What becomes of a query: answered, REFUSED, an empty answer, or none at all. */
export type Action = "allow" | "block" | "filter" | "drop";

/** One line of an acl block. */
export interface Policy {
  readonly action: Action;
  /** Query types that it is for; absent: all. */
  readonly types?: ReadonlySet<number>;
  /** Networks of the clients that it is for; absent: all. */
  readonly networks?: readonly Cidr[];
}

/** The action of the first policy that fits; undefined when none does. */
export function actionFor(policies: readonly Policy[], type: number, client: Ip): Action | undefined {
  return policies.find(
    ({ types, networks }) =>
      (types?.has(type) ?? true) && (networks?.some((network) => cidrContains(network, client)) ?? true),
  )?.action;
}
