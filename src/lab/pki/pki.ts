import { generateKeyPairSync, type KeyPairKeyObjectResult } from "node:crypto";
import { type CertificateRequest, type Issuer, issueCertificate } from "#wire/x509/index.ts";

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

const YEAR_MS = 365 * 24 * 3600 * 1000;
/** Clocks of clients may be behind by this much. */
const SKEW_MS = 3600 * 1000;

const newKeys = (): KeyPairKeyObjectResult => generateKeyPairSync("ec", { namedCurve: "P-256" });

const pem = (key: KeyPairKeyObjectResult["privateKey"]): string =>
  key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }).toString();

/** An authority whose key lives only here; `issue` makes a key and its certificate for one year. */
function newAuthority(): {
  readonly cert: string;
  issue(what: Omit<CertificateRequest, "publicKey" | Times>): KeyPair;
} {
  const keys = newKeys();
  const issuer: Issuer = { name: { commonName: "kubernetes" }, ...keys };
  const notBefore = new Date(Date.now() - SKEW_MS);
  const until = (years: number): Date => new Date(Date.now() + years * YEAR_MS);
  const own = { subject: issuer.name, publicKey: keys.publicKey, authority: true, notBefore, notAfter: until(10) };
  return {
    cert: issueCertificate(own, issuer),
    issue(what) {
      const { publicKey, privateKey } = newKeys();
      const cert = issueCertificate({ ...what, publicKey, notBefore, notAfter: until(1) }, issuer);
      return { cert, key: pem(privateKey) };
    },
  };
}

type Times = "notBefore" | "notAfter";

/** Makes all certificates of a cluster (ECDSA P-256, one year); takes a few milliseconds. */
export function makePki(request: PkiRequest): ClusterPki {
  const authority = newAuthority();
  const client = (commonName: string): KeyPair =>
    authority.issue({ subject: { organization: "system:masters", commonName }, purposes: ["client"] });
  const node = ({ name, addresses }: PkiRequest["nodes"][number]): KeyPair =>
    authority.issue({
      subject: { organization: "system:nodes", commonName: `system:node:${name}` },
      names: [name, ...addresses],
      purposes: ["server", "client"],
    });
  const serviceAccount = newKeys();
  return {
    ca: authority.cert,
    apiserver: authority.issue({
      subject: { commonName: "kube-apiserver" },
      names: request.apiNames,
      purposes: ["server"],
    }),
    apiserverKubeletClient: client("kube-apiserver-kubelet-client"),
    admin: client("kubernetes-admin"),
    nodes: Object.fromEntries(request.nodes.map((entry) => [entry.name, node(entry)])),
    serviceAccount: { publicKey: pem(serviceAccount.publicKey), privateKey: pem(serviceAccount.privateKey) },
  };
}
