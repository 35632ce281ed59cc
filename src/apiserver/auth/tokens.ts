import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { User } from "../kinds/definition.ts";

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
  readonly bound?: TokenBinding;
  /** Node of the bound pod. */
  readonly node?: { readonly name: string; readonly uid: string };
}

/** Whether what a token names still exists: an account, a pod, a node by uid. */
export type StillThere = (plural: string, namespace: string, name: string) => string | undefined;

interface Claims {
  aud?: string | string[];
  exp?: number;
  nbf?: number;
  iss?: string;
  sub?: string;
  jti?: string;
  "kubernetes.io"?: {
    namespace?: string;
    serviceaccount?: { name?: string; uid?: string };
    pod?: { name: string; uid: string };
    node?: { name: string; uid: string };
    secret?: { name: string; uid: string };
  };
}

/** Issues and verifies ServiceAccount tokens: JWTs signed with RS256 or ES256 (RFC 7519, KEP-1205). */
export class TokenIssuer {
  readonly issuer: string;
  readonly #signer: KeyObject | undefined;
  readonly #verifiers: readonly KeyObject[];

  /** Keys are PEM: one private key to sign with, public or private ones to verify with. */
  constructor(options: { issuer: string; signingKey?: string; verificationKeys: readonly string[] }) {
    this.issuer = options.issuer;
    this.#signer = options.signingKey ? createPrivateKey(options.signingKey) : undefined;
    const keys = options.verificationKeys.map((pem) => createPublicKey(pem));
    this.#verifiers = this.#signer ? [createPublicKey(this.#signer), ...keys] : keys;
  }

  /** A signed token and when it ends. Throws Error without a signing key. */
  issue(subject: TokenSubject, now: number): { token: string; expires: string } {
    if (!this.#signer) throw new Error("no service account signing key is configured");
    const seconds = Math.floor(now / 1000);
    const { namespace, name, uid, bound, node } = subject;
    const details: Record<string, unknown> = { namespace, serviceaccount: { name, uid } };
    if (bound) details[bound.kind.toLowerCase()] = { name: bound.name, uid: bound.uid };
    if (node) details.node = node;
    const claims = {
      aud: subject.audiences,
      exp: seconds + subject.seconds,
      iat: seconds,
      iss: this.issuer,
      jti: crypto.randomUUID(),
      "kubernetes.io": details,
      nbf: seconds,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const head = { alg: algorithm(this.#signer), kid: keyId(createPublicKey(this.#signer)) };
    const input = `${encode(head)}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(input), { key: this.#signer, dsaEncoding: "ieee-p1363" });
    return {
      token: `${input}.${signature.toString("base64url")}`,
      expires: `${new Date((seconds + subject.seconds) * 1000).toISOString().slice(0, 19)}Z`,
    };
  }

  /** The user of a token that is valid now for one of the audiences; undefined for any other. */
  verify(token: string, audiences: readonly string[], now: number, stillThere: StillThere): User | undefined {
    const claims = this.#claims(token);
    const seconds = now / 1000;
    if (!claims || claims.iss !== this.issuer) return undefined;
    if ((claims.exp ?? 0) <= seconds || (claims.nbf ?? 0) > seconds + 10) return undefined;
    const meant = typeof claims.aud === "string" ? [claims.aud] : (claims.aud ?? []);
    if (!audiences.some((a) => meant.includes(a))) return undefined;
    return userOf(claims, stillThere);
  }

  /** The public keys as a JSON Web Key Set (RFC 7517), as /openid/v1/jwks answers. */
  keySet(): object {
    return {
      keys: this.#verifiers.map((key) => ({
        use: "sig",
        kid: keyId(key),
        alg: algorithm(key),
        ...key.export({ format: "jwk" }),
      })),
    };
  }

  #claims(token: string): Claims | undefined {
    const [head = "", body = "", signature = "", ...more] = token.split(".");
    if (more.length > 0 || signature === "") return undefined;
    const header = parse(head) as { alg?: string; kid?: string } | undefined;
    const input = Buffer.from(`${head}.${body}`);
    const bytes = Buffer.from(signature, "base64url");
    for (const key of this.#verifiers) {
      // The algorithm follows from the key, never from the token.
      if (header?.alg !== algorithm(key) || (header.kid && header.kid !== keyId(key))) continue;
      if (verify("sha256", input, { key, dsaEncoding: "ieee-p1363" }, bytes)) return parse(body) as Claims | undefined;
    }
    return undefined;
  }
}

function userOf(claims: Claims, stillThere: StillThere): User | undefined {
  const details = claims["kubernetes.io"];
  const { namespace, serviceaccount: account, pod, node, secret } = details ?? {};
  if (!namespace || !account?.name || claims.sub !== `system:serviceaccount:${namespace}:${account.name}`)
    return undefined;
  if (stillThere("serviceaccounts", namespace, account.name) !== account.uid) return undefined;
  if (pod && stillThere("pods", namespace, pod.name) !== pod.uid) return undefined;
  if (secret && stillThere("secrets", namespace, secret.name) !== secret.uid) return undefined;
  const extra: Record<string, string[]> = {};
  if (claims.jti) extra["authentication.kubernetes.io/credential-id"] = [`JTI=${claims.jti}`];
  if (node)
    Object.assign(extra, {
      "authentication.kubernetes.io/node-name": [node.name],
      "authentication.kubernetes.io/node-uid": [node.uid],
    });
  if (pod)
    Object.assign(extra, {
      "authentication.kubernetes.io/pod-name": [pod.name],
      "authentication.kubernetes.io/pod-uid": [pod.uid],
    });
  return {
    name: `system:serviceaccount:${namespace}:${account.name}`,
    uid: account.uid ?? "",
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    extra,
  };
}

function algorithm(key: KeyObject): string {
  return key.asymmetricKeyType === "rsa" ? "RS256" : "ES256";
}

/** kube-apiserver's key id: SHA-256 of the DER public key. */
function keyId(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function parse(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
