import { unauthorized } from "../errors.ts";
import type { User } from "../kinds/definition.ts";
import type { Call } from "../rest/call.ts";
import type { Store } from "../store/index.ts";
import { bootstrapUser } from "./bootstrap-tokens.ts";
import type { TokenFile } from "./token-file.ts";
import type { Lookup, TokenIssuer, Verified } from "./tokens.ts";

/** Who counts as nobody in particular. */
export interface AnonymousOptions {
  readonly enabled: boolean;
  /** Only these paths; absent: all. */
  readonly paths?: readonly string[];
}

/** How requests are authenticated beside client certificates and ServiceAccount tokens. */
export interface AuthenticationOptions {
  /** Default: enabled for all paths, as kube-apiserver; what the anonymous may do is up to RBAC. */
  readonly anonymous?: AnonymousOptions;
  readonly tokenFile?: TokenFile;
  /** Bootstrap tokens count (--enable-bootstrap-token-auth). */
  readonly bootstrapTokens?: boolean;
}

/** The user without credentials. */
export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

const authenticated = "system:authenticated";
const webSocketToken = "base64url.bearer.authorization.k8s.io.";

/** Finds out who asks. */
export class Authenticator {
  readonly #tokens: TokenIssuer;
  readonly #store: Store;
  readonly #options: AuthenticationOptions;

  constructor(deps: { tokens: TokenIssuer; store: Store }, options: AuthenticationOptions) {
    this.#tokens = deps.tokens;
    this.#store = deps.store;
    this.#options = options;
  }

  /**
   * The user of a call. The first credential that is right counts; one that is wrong makes nobody anonymous.
   * Throws StatusError 401.
   */
  authenticate(call: Call, path: string): User {
    if (call.user) return call.user;
    const certificate = call.certificateUser?.();
    if (certificate) return withAuthenticated(certificate);
    const token = bearerToken(call);
    if (token !== undefined) {
      const verified = this.verifyToken(token, this.#tokens.audiences);
      if (verified && "user" in verified) return verified.user;
      throw unauthorized();
    }
    const { enabled, paths } = this.#options.anonymous ?? { enabled: true };
    if (certificate === false || !enabled || (paths && !paths.includes(path))) throw unauthorized();
    return anonymous;
  }

  /** Whose a token is, for one of the audiences. */
  verifyToken(token: string, audiences: readonly string[]): Verified | undefined {
    const own = audiences.filter((a) => this.#tokens.audiences.includes(a));
    const now = Date.now();
    const known = this.#options.tokenFile?.user(token) ?? this.#bootstrap(token, now);
    // These tokens know no audience: they are for this API alone.
    if (known && own.length > 0) return { user: withAuthenticated(known), audiences: own };
    const verified = this.#tokens.verify(token, audiences, now, this.#lookup);
    if (!verified || "problem" in verified) return verified;
    return { ...verified, user: withAuthenticated(verified.user) };
  }

  #bootstrap(token: string, now: number): User | undefined {
    return this.#options.bootstrapTokens ? bootstrapUser(this.#store, token, now) : undefined;
  }

  #lookup: Lookup = (plural, namespace, name) =>
    this.#store.get(plural, namespace ? `${namespace}/${name}` : name)?.object;
}

function withAuthenticated(user: User): User {
  return user.groups.includes(authenticated) ? user : { ...user, groups: [...user.groups, authenticated] };
}

/** The token of the Authorization header, or of a browser's WebSocket, which can set no header. */
function bearerToken(call: Call): string | undefined {
  const header = call.headers.authorization?.trim();
  if (header) {
    const [scheme = "", token = ""] = header.split(/ +/);
    return scheme.toLowerCase() === "bearer" && token !== "" ? token : undefined;
  }
  const protocol = call.headers["sec-websocket-protocol"]
    ?.split(",")
    .map((p) => p.trim())
    .find((p) => p.startsWith(webSocketToken));
  return protocol && Buffer.from(protocol.slice(webSocketToken.length), "base64url").toString();
}
