import "reflect-metadata";
import { generateKeyPairSync, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate and its key, PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A new ECDSA key pair of P-256. */
export async function keyPair() {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${bytes.match(/.{1,64}/g)?.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

/** A certificate authority for tests. */
export class TestAuthority {
  readonly #ca: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  #serial = 2;

  private constructor(ca: X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#ca = ca;
    this.#keys = keys;
  }

  static async create(name = "test-ca"): Promise<TestAuthority> {
    const keys = await keyPair();
    const ca = await X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 86_400_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestAuthority(ca, keys);
  }

  get cert(): string {
    return this.#ca.toString("pem");
  }

  /**
   * A certificate for a name; `organizations` become groups, `ips` and `names` the subject alternative names, `uses`
   * the extended key usage by object identifier; it ends after `seconds`.
   */
  async issue(
    commonName: string,
    options: { organizations?: string[]; ips?: string[]; names?: string[]; uses?: string[]; seconds?: number } = {},
  ): Promise<Pair> {
    const keys = await keyPair();
    const alternatives = [
      ...(options.ips ?? []).map((value) => ({ type: "ip" as const, value })),
      ...(options.names ?? []).map((value) => ({ type: "dns" as const, value })),
    ];
    const cert = await X509CertificateGenerator.create({
      serialNumber: (this.#serial++).toString(16).padStart(2, "0"),
      subject: [{ CN: [commonName] }, ...(options.organizations ?? []).map((o) => ({ O: [o] }))],
      issuer: this.#ca.subject,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 1000 * (options.seconds ?? 86_400)),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        ...(alternatives.length > 0 ? [new SubjectAlternativeNameExtension(alternatives)] : []),
        ...(options.uses ? [new ExtendedKeyUsageExtension(options.uses)] : []),
      ],
    });
    return { cert: cert.toString("pem"), key: await pem(keys.privateKey) };
  }
}

/** A key for ServiceAccount tokens. */
export function signingKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
