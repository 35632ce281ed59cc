import type { User } from "../kinds/definition.ts";
import type { Attributes, Authorizer, Decision } from "./attributes.ts";

/** Members of this group may do everything, whatever the modes say. */
export const superusers = "system:masters";

/** Upstream's --authorization-mode=AlwaysAllow. */
export const alwaysAllow: Authorizer = { decide: () => ({ allowed: true, reason: "" }) };
/** Upstream's --authorization-mode=AlwaysDeny. */
export const alwaysDeny: Authorizer = { decide: () => ({ allowed: false, reason: "Everything is forbidden." }) };

/** Asks authorizers one after the other; the first that allows decides, else the reasons of all are told. */
export class Authorizers implements Authorizer {
  readonly #authorizers: readonly Authorizer[];

  constructor(authorizers: readonly Authorizer[]) {
    this.#authorizers = authorizers;
  }

  decide(user: User, wanted: Attributes): Decision {
    if (user.groups.includes(superusers)) return { allowed: true, reason: "" };
    const reasons: string[] = [];
    for (const authorizer of this.#authorizers) {
      const decision = authorizer.decide(user, wanted);
      if (decision.allowed) return decision;
      if (decision.reason) reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join("\n") };
  }
}
