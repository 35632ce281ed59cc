import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type CertificateRequest, type Issuer, issueCertificate } from "#wire/x509/index.ts";

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const YEAR_MS = 365 * 24 * 3600 * 1000;
/** Clocks of clients may be behind by this much. */
const SKEW_MS = 3600 * 1000;

/** A key pair of the curve P-256. */
export function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** PEM of a key: PKCS 8 or SPKI. */
export function pem(key: KeyObject): string {
  return key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" }).toString();
}

type Times = "notBefore" | "notAfter";

/** An authority that signs the certificates of a cluster (ECDSA P-256). */
export interface Authority {
  /** Its own certificate, for ten years. */
  readonly cert: string;
  /** Its private key. */
  readonly key: string;
  /** Makes a key and its certificate, for one year. */
  issue(what: Omit<CertificateRequest, "publicKey" | Times>): KeyPair;
}

/** A new authority, or one that was kept. @throws Error for a key that is none */
export function openAuthority(kept?: KeyPair): Authority {
  const privateKey = kept ? createPrivateKey(kept.key) : newKeys().privateKey;
  const publicKey = createPublicKey(privateKey);
  const issuer: Issuer = { name: { commonName: "kubernetes" }, publicKey, privateKey };
  const notBefore = new Date(Date.now() - SKEW_MS);
  const until = (years: number): Date => new Date(Date.now() + years * YEAR_MS);
  const own = { subject: issuer.name, publicKey, authority: true, notBefore, notAfter: until(10) };
  return {
    cert: kept?.cert ?? issueCertificate(own, issuer),
    key: pem(privateKey),
    issue(what) {
      const keys = newKeys();
      const cert = issueCertificate({ ...what, publicKey: keys.publicKey, notBefore, notAfter: until(1) }, issuer);
      return { cert, key: pem(keys.privateKey) };
    },
  };
}
