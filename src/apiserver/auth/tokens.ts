import type { User } from "../kinds/definition.ts";
import { isDict, type StoredObject } from "../object.ts";
import { JwtKeys, readClaims } from "./jwt.ts";

/** What a bound token is tied to. */
export interface TokenBinding {
  readonly kind: "Pod" | "Node" | "Secret";
  readonly name: string;
  readonly uid: string;
}

/** What a token is issued for. */
export interface TokenSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly audiences: readonly string[];
  readonly seconds: number;
  /** Seconds after which its use is called stale, for tokens that live longer than was asked for. */
  readonly warnAfter?: number;
  readonly bound?: TokenBinding;
  /** Node of the bound pod; without a uid while the node is not registered. */
  readonly node?: { readonly name: string; readonly uid?: string };
}

/** How tokens are issued and checked. Keys are PEM. */
export interface TokenOptions {
  /** The first is put into new tokens, all are accepted. */
  readonly issuers: readonly string[];
  /** Audiences of this API; default: the issuers. */
  readonly audiences?: readonly string[];
  readonly signingKey?: string;
  readonly verificationKeys: readonly string[];
  /** Where clients get the keys. */
  readonly jwksUri?: string;
  /** Longest life of a token in seconds. */
  readonly maxSeconds?: number;
  /** Tokens that kubelets ask for in the ordinary way live a year (--service-account-extend-token-expiration). */
  readonly extend?: boolean;
}

/** A verified token; or why it is refused. */
export type Verified = { readonly user: User; readonly audiences: readonly string[] } | { readonly problem: string };

/** Reads an object that a token names. */
export type Lookup = (plural: string, namespace: string, name: string) => StoredObject | undefined;

interface Reference {
  readonly name: string;
  readonly uid?: string;
}

interface Claims {
  aud?: string | string[];
  exp?: number;
  nbf?: number;
  iss?: string;
  sub?: string;
  jti?: string;
  "kubernetes.io"?: {
    namespace?: string;
    serviceaccount?: Reference;
    pod?: Reference;
    node?: Reference;
    secret?: Reference;
    warnafter?: number;
  };
}

/** Clocks may differ by this much (go-jose's leeway), in seconds. */
const leeway = 60;
const prefix = "authentication.kubernetes.io";

/** Issues and verifies ServiceAccount tokens: JWTs bound to an account and to a pod, node or secret (KEP-1205). */
export class TokenIssuer {
  readonly options: TokenOptions;
  readonly keys: JwtKeys;
  /** Claims of tokens whose signature was right: that costs 0.1 ms each time. */
  readonly #signed = new Map<string, Claims>();

  constructor(options: TokenOptions) {
    this.options = options;
    this.keys = new JwtKeys(options);
  }

  /** The issuer of new tokens. */
  get issuer(): string {
    return this.options.issuers[0] as string;
  }

  /** Audiences of this API. */
  get audiences(): readonly string[] {
    return this.options.audiences?.length ? this.options.audiences : this.options.issuers;
  }

  /** A signed token. Throws Error without a signing key. */
  issue(subject: TokenSubject, now: number): string {
    const seconds = Math.floor(now / 1000);
    const { namespace, name, uid, bound, node } = subject;
    const details: Record<string, unknown> = { namespace };
    if (node) details.node = node;
    if (bound) details[bound.kind.toLowerCase()] = { name: bound.name, uid: bound.uid };
    details.serviceaccount = { name, uid };
    if (subject.warnAfter) details.warnafter = seconds + subject.warnAfter;
    return this.keys.sign({
      aud: subject.audiences,
      exp: seconds + subject.seconds,
      iat: seconds,
      iss: this.issuer,
      jti: crypto.randomUUID(),
      "kubernetes.io": details,
      nbf: seconds,
      sub: `system:serviceaccount:${namespace}:${name}`,
    });
  }

  /** Whose a token is that holds now for one of the audiences; undefined for what is no token of these issuers. */
  verify(token: string, audiences: readonly string[], now: number, lookup: Lookup): Verified | undefined {
    const claims = this.#signed.get(token) ?? this.#check(token);
    if (!claims) return undefined;
    const seconds = now / 1000;
    const meant = typeof claims.aud === "string" ? [claims.aud] : (claims.aud ?? []);
    const agreed = audiences.filter((a) => meant.includes(a));
    if (agreed.length === 0)
      return { problem: `token audiences ${list(meant)} is invalid for the target audiences ${list(audiences)}` };
    if ((claims.exp ?? 0) + leeway <= seconds) return { problem: "service account token has expired" };
    if ((claims.nbf ?? 0) > seconds + leeway) return { problem: "service account token is not valid yet" };
    const user = userOf(claims, lookup, now);
    return typeof user === "string" ? { problem: user } : { user, audiences: agreed };
  }

  #check(token: string): Claims | undefined {
    // Looking at the issuer first spares the signature of other people's tokens.
    const unverified = readClaims(token);
    if (!isDict(unverified) || !this.options.issuers.includes(unverified.iss as string)) return undefined;
    const claims = this.keys.verify(token);
    if (!isDict(claims)) return undefined;
    if (this.#signed.size > 1000) this.#signed.clear();
    this.#signed.set(token, claims);
    return claims;
  }
}

const list = (texts: readonly string[]): string => `[${texts.map((t) => JSON.stringify(t)).join(" ")}]`;

/** The user of verified claims, or why what they name does not count any more. */
function userOf(claims: Claims, lookup: Lookup, now: number): User | string {
  const { namespace, serviceaccount: account, pod, node, secret } = claims["kubernetes.io"] ?? {};
  if (!namespace || !account?.name || claims.sub !== `system:serviceaccount:${namespace}:${account.name}`)
    return "service account token claims could not be validated due to unexpected private claim";
  const found = lookup("serviceaccounts", namespace, account.name);
  if (!found) return `serviceaccounts "${account.name}" not found`;
  if (isGoing(found, now)) return `service account ${namespace}/${account.name} has been deleted`;
  if (found.metadata.uid !== account.uid)
    return `service account UID (${found.metadata.uid}) does not match claim (${account.uid})`;
  const bound: [string, string, Reference | undefined][] = [
    ["secrets", namespace, secret],
    ["pods", namespace, pod],
    // A pod's token names its node for information; only a token bound to a node ends with it.
    ["nodes", "", pod ? undefined : node],
  ];
  for (const [plural, space, reference] of bound) {
    const object = reference && lookup(plural, space, reference.name);
    if (reference && (!object || isGoing(object, now) || object.metadata.uid !== reference.uid))
      return "service account token has been invalidated";
  }
  return {
    name: `system:serviceaccount:${namespace}:${account.name}`,
    uid: account.uid ?? "",
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`],
    extra: extraOf(claims),
  };
}

function extraOf(claims: Claims): Record<string, string[]> {
  const { pod, node } = claims["kubernetes.io"] ?? {};
  const extra: Record<string, string[]> = {};
  if (claims.jti) extra[`${prefix}/credential-id`] = [`JTI=${claims.jti}`];
  if (node) {
    extra[`${prefix}/node-name`] = [node.name];
    if (node.uid) extra[`${prefix}/node-uid`] = [node.uid];
  }
  if (pod) {
    extra[`${prefix}/pod-name`] = [pod.name];
    extra[`${prefix}/pod-uid`] = [pod.uid ?? ""];
  }
  return extra;
}

/** Being deleted since longer than the leeway. */
function isGoing(object: StoredObject, now: number): boolean {
  const { deletionTimestamp } = object.metadata;
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < now - leeway * 1000;
}
