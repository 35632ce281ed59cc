import type { User } from "../kinds/definition.ts";
import type { Call } from "../rest/call.ts";
import type { RequestInfo } from "../rest/request-info.ts";
import { type Authorizer, attributesOf, refusal } from "./attributes.ts";
import { type Authenticator, anonymous } from "./authenticate.ts";
import { impersonate } from "./impersonate.ts";

/** Finds out who asks, and whether they may. */
export class Authority {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;

  constructor(deps: { authenticator: Authenticator; authorizer: Authorizer }) {
    this.authenticator = deps.authenticator;
    this.authorizer = deps.authorizer;
  }

  /** The user of a call, the one it impersonates where it may. Throws StatusError 401, 403, 500. */
  authenticate(call: Call, path: string): User {
    const user = this.authenticator.authenticate(call, path);
    if (user !== anonymous) call.authenticated?.();
    return impersonate(this.authorizer, user, call);
  }

  /** Throws the 403 of what the user may not do. */
  authorize(user: User, info: RequestInfo): void {
    const wanted = attributesOf(info);
    const { allowed, reason } = this.authorizer.decide(user, wanted);
    if (!allowed) throw refusal(user, wanted, reason);
  }
}
