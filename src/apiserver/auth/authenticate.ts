import { forbidden, StatusError, unauthorized } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import type { Call } from "../rest/call.ts";
import type { RequestInfo } from "../rest/request-info.ts";
import type { Store } from "../store/index.ts";
import type { Attributes, Rbac } from "./rbac.ts";
import type { TokenIssuer } from "./tokens.ts";

/** Paths that answer without a name, as upstream's system:public-info-viewer. */
const publicPaths = new Set(["/healthz", "/livez", "/readyz", "/version", "/version/"]);

/** Finds out who asks, and whether they may. */
export class Authority {
  readonly #tokens: TokenIssuer;
  readonly #rbac: Rbac;
  readonly #store: Store;
  /** Verified tokens until their next check; signatures cost 0.1 ms each. */
  readonly #verified = new Map<string, { user: User; until: number }>();

  constructor(deps: { tokens: TokenIssuer; rbac: Rbac; store: Store }) {
    this.#tokens = deps.tokens;
    this.#rbac = deps.rbac;
    this.#store = deps.store;
  }

  /** The user of a call; undefined on a public path without one. Throws StatusError 401 and 403. */
  authenticate(call: Call, path: string): User | undefined {
    const user = call.user ?? this.#bearer(call) ?? call.certificateUser?.();
    if (user) return this.#impersonated(user, call);
    if (publicPaths.has(path) || path.startsWith("/livez/") || path.startsWith("/readyz/")) return undefined;
    throw unauthorized();
  }

  /** Throws the 403 of what the user may not do. */
  authorize(user: User, info: RequestInfo): void {
    const wanted = attributesOf(info);
    if (this.#rbac.allows(user, wanted)) return;
    throw refusal(user, wanted);
  }

  /** The user of a token for one of the audiences. */
  verifyToken(token: string, audiences: readonly string[]): User | undefined {
    return this.#tokens.verify(
      token,
      audiences,
      Date.now(),
      (plural, namespace, name) => this.#store.get(plural, `${namespace}/${name}`)?.object.metadata.uid,
    );
  }

  #bearer(call: Call): User | undefined {
    const header = call.headers.authorization;
    if (!header) return undefined;
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (!token) throw unauthorized();
    const now = Date.now();
    const known = this.#verified.get(token);
    if (known && known.until > now) return known.user;
    const user = this.verifyToken(token, [this.#tokens.issuer]);
    // A wrong token is refused even beside a right certificate.
    if (!user) throw unauthorized();
    if (this.#verified.size > 1000) this.#verified.clear();
    this.#verified.set(token, { user, until: now + 10_000 });
    return user;
  }

  #impersonated(user: User, call: Call): User {
    const name = call.headers["impersonate-user"];
    const groups = (call.headers["impersonate-group"] ?? "")
      .split(",")
      .map((g) => g.trim())
      .filter(Boolean);
    if (!name) {
      if (groups.length > 0)
        throw new StatusError(500, "InternalError", "Internal error occurred: requested impersonation without a user");
      return user;
    }
    const ask = (resource: string, target: string) => {
      const wanted: Attributes = {
        verb: "impersonate",
        resource,
        subresource: "",
        group: "",
        namespace: "",
        name: target,
        path: "",
      };
      if (!this.#rbac.allows(user, wanted)) throw refusal(user, wanted);
    };
    ask("users", name);
    for (const group of groups) ask("groups", group);
    const account = /^system:serviceaccount:([^:]+):/.exec(name);
    const implied = account ? ["system:serviceaccounts", `system:serviceaccounts:${account[1]}`] : [];
    return { name, groups: [...new Set([...groups, ...implied, "system:authenticated"])] };
  }
}

/** What authorisation is asked about a request. */
export function attributesOf(info: RequestInfo): Attributes {
  const { verb, resource, subresource, group, namespace, name, path } = info;
  return { verb, resource: info.isResource ? resource : "", subresource, group, namespace, name, path };
}

/** The 403 with upstream's text. */
export function refusal(user: User, wanted: Attributes): StatusError {
  const { verb, resource, subresource, group, namespace, name } = wanted;
  if (resource === "") {
    return new StatusError(403, "Forbidden", `forbidden: User "${user.name}" cannot ${verb} path "${wanted.path}"`, {});
  }
  const full = subresource ? `${resource}/${subresource}` : resource;
  const scope = namespace ? `in the namespace "${namespace}"` : "at the cluster scope";
  return forbidden(
    { group, plural: resource },
    name,
    `User "${user.name}" cannot ${verb} resource "${full}" in API group "${group}" ${scope}`,
  );
}
