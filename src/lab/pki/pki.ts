import { createPrivateKey, type webcrypto } from "node:crypto";

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** The certificates of a cluster, as kubeadm lays them out under /etc/kubernetes/pki. */
export interface ClusterPki {
  /** PEM of the certificate authority; its key never leaves the process that made it. */
  readonly ca: string;
  readonly apiserver: KeyPair;
  readonly apiserverKubeletClient: KeyPair;
  readonly admin: KeyPair;
  /** By node name: serving certificate and client identity `system:node:<name>` in one. */
  readonly nodes: Readonly<Record<string, KeyPair>>;
  /** Signs ServiceAccount tokens. */
  readonly serviceAccount: { readonly publicKey: string; readonly privateKey: string };
}

/** Who needs which names. */
export interface PkiRequest {
  /** DNS names and addresses by which clients reach the API server. */
  readonly apiNames: readonly string[];
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** Clocks of clients may be behind by this much. */
const SKEW_MS = 3600 * 1000;

type X509 = typeof import("@peculiar/x509");

/**
 * Makes all certificates of a cluster (ECDSA P-256, one year).
 * Takes about 40 ms, half of it loading the library, so it runs beside the start of the engine.
 */
export async function makePki(request: PkiRequest): Promise<ClusterPki> {
  await import("reflect-metadata");
  const x509: X509 = await import("@peculiar/x509");
  const maker = await CertificateMaker.create(x509);
  const [apiserver, apiserverKubeletClient, admin, keys, ...nodes] = await Promise.all([
    maker.issue("CN=kube-apiserver", request.apiNames, ["server"]),
    maker.issue("O=system:masters, CN=kube-apiserver-kubelet-client", [], ["client"]),
    maker.issue("O=system:masters, CN=kubernetes-admin", [], ["client"]),
    crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>,
    ...request.nodes.map((node) =>
      maker.issue(`O=system:nodes, CN=system:node:${node.name}`, [node.name, ...node.addresses], ["server", "client"]),
    ),
  ]);
  return {
    ca: maker.caPem,
    apiserver,
    apiserverKubeletClient,
    admin,
    nodes: Object.fromEntries(request.nodes.map((node, i) => [node.name, nodes[i] as KeyPair])),
    serviceAccount: {
      publicKey: await exportPem(x509, "spki", keys.publicKey, "PUBLIC KEY"),
      privateKey: await exportPrivate(x509, keys.privateKey),
    },
  };
}

async function exportPem(
  x509: X509,
  format: "spki" | "pkcs8",
  key: webcrypto.CryptoKey,
  label: string,
): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey(format, key), label);
}

async function exportPrivate(x509: X509, key: webcrypto.CryptoKey): Promise<string> {
  const pem = await exportPem(x509, "pkcs8", key, "PRIVATE KEY");
  return createPrivateKey(pem).export({ type: "pkcs8", format: "pem" }).toString();
}

class CertificateMaker {
  readonly #x509: X509;
  readonly #ca: import("@peculiar/x509").X509Certificate;
  readonly #caKeys: webcrypto.CryptoKeyPair;
  readonly #notBefore = new Date(Date.now() - SKEW_MS);
  readonly #notAfter = new Date(Date.now() + YEAR_MS);
  #serial = 2;

  private constructor(x509: X509, ca: import("@peculiar/x509").X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#x509 = x509;
    this.#ca = ca;
    this.#caKeys = keys;
  }

  static async create(x509: X509): Promise<CertificateMaker> {
    const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
    const ca = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name: "CN=kubernetes",
      notBefore: new Date(Date.now() - SKEW_MS),
      notAfter: new Date(Date.now() + 10 * YEAR_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateMaker(x509, ca, keys);
  }

  get caPem(): string {
    return `${this.#ca.toString("pem")}\n`;
  }

  async issue(subject: string, names: readonly string[], usages: readonly ("server" | "client")[]): Promise<KeyPair> {
    const x509 = this.#x509;
    const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
    const alternatives = names.map((value) => ({ type: /^[0-9.]+$|:/.test(value) ? "ip" : "dns", value }) as const);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (this.#serial++).toString(16).padStart(2, "0"),
      subject,
      issuer: this.#ca.subject,
      notBefore: this.#notBefore,
      notAfter: this.#notAfter,
      signingKey: this.#caKeys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(
          usages.map((u) => (u === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth)),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#caKeys.publicKey),
        ...(alternatives.length ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
      ],
    });
    return { cert: `${certificate.toString("pem")}\n`, key: await exportPrivate(x509, keys.privateKey) };
  }
}
