import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** Signs and checks JSON Web Tokens (RFC 7519) with RSA or elliptic-curve keys; several keys may verify. */
export class JwtKeys {
  readonly #signer: { readonly key: KeyObject; readonly id: string; readonly algorithm: string } | undefined;
  readonly #verifiers: { readonly key: KeyObject; readonly id: string; readonly algorithm: string }[] = [];

  /** Keys are PEM: one private key to sign with, public or private ones to verify with. */
  constructor(options: { signingKey?: string; verificationKeys: readonly string[] }) {
    const signer = options.signingKey ? createPrivateKey(options.signingKey) : undefined;
    const keys = options.verificationKeys.flatMap(pemBlocks).map((pem) => createPublicKey(pem));
    if (signer) keys.unshift(createPublicKey(signer));
    for (const key of keys) {
      const id = keyId(key);
      if (this.#verifiers.every((known) => known.id !== id)) this.#verifiers.push({ key, id, algorithm: nameOf(key) });
    }
    const first = this.#verifiers[0];
    this.#signer = signer && first ? { ...first, key: signer } : undefined;
  }

  /** A signed token. Throws Error without a signing key. */
  sign(claims: object): string {
    if (!this.#signer) throw new Error("no service account signing key is configured");
    const { key, id, algorithm } = this.#signer;
    const input = `${encode({ alg: algorithm, kid: id })}.${encode(claims)}`;
    const signature = sign(hashOf(algorithm), Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
    return `${input}.${signature.toString("base64url")}`;
  }

  /** The claims of a token whose signature is right; undefined for any other. */
  verify(token: string): unknown {
    const [head = "", body = "", signature = "", ...more] = token.split(".");
    if (more.length > 0 || signature === "") return undefined;
    const header = parse(head) as { alg?: string; kid?: string } | undefined;
    const input = Buffer.from(`${head}.${body}`);
    const bytes = Buffer.from(signature, "base64url");
    for (const { key, id, algorithm } of this.#verifiers) {
      // The algorithm follows from the key, never from the token.
      if (header?.alg !== algorithm || (header.kid && header.kid !== id)) continue;
      if (verify(hashOf(algorithm), input, { key, dsaEncoding: "ieee-p1363" }, bytes)) return parse(body);
    }
    return undefined;
  }

  /** The public keys as a JSON Web Key Set (RFC 7517). */
  keySet(): object {
    return {
      keys: this.#verifiers.map(({ key, id, algorithm }) => ({
        use: "sig",
        kid: id,
        alg: algorithm,
        ...key.export({ format: "jwk" }),
      })),
    };
  }

  /** Names of the algorithms in use, sorted. */
  get algorithms(): string[] {
    return [...new Set(this.#verifiers.map((v) => v.algorithm))].sort();
  }
}

/** The claims of a token, unverified: to find out whom it is for. */
export function readClaims(token: string): unknown {
  const parts = token.split(".");
  return parts.length === 3 ? parse(parts[1] as string) : undefined;
}

/** A file of keys may hold several. */
function pemBlocks(text: string): string[] {
  return text.match(/-----BEGIN [^-]+-----[\s\S]*?-----END [^-]+-----/g) ?? [text];
}

/** The algorithm that goes with a key (RFC 7518 3.1). */
function nameOf(key: KeyObject): string {
  if (key.asymmetricKeyType === "rsa") return "RS256";
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case "secp384r1":
      return "ES384";
    case "secp521r1":
      return "ES512";
    case "prime256v1":
      return "ES256";
    default:
      throw new Error("a service account key has to be RSA, or of curve P-256, P-384 or P-521");
  }
}

function hashOf(algorithm: string): string {
  return `sha${algorithm.slice(2)}`;
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
