import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import { parseIp } from "#base/ip.ts";
import * as der from "./der.ts";

/** Object identifiers: RFC 5280 (names, extensions, purposes) and RFC 5758 (the signature). */
const oid = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** Bits of the KeyUsage extension (RFC 5280 section 4.2.1.3). */
const keyUsage = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;

/** RFC 5280 section 4.1.2.1: 2 means version 3. */
const version3 = 2;

/** A distinguished name of the two parts that Kubernetes reads: groups and user. */
export interface DistinguishedName {
  readonly organization?: string;
  readonly commonName: string;
}

/** What a certificate says. */
export interface CertificateRequest {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** An authority's own certificate, which may sign others. */
  readonly authority?: boolean;
  /** DNS names and IP addresses that it stands for. */
  readonly names?: readonly string[];
  readonly purposes?: readonly ("server" | "client")[];
}

/** Who signs. The key is an EC key; the signature is ECDSA with SHA-256. */
export interface Issuer {
  readonly name: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function distinguishedName({ organization, commonName }: DistinguishedName): Uint8Array {
  const part = (type: string, value: string): Uint8Array =>
    der.setOf(der.sequence(der.objectIdentifier(type), der.utf8String(value)));
  const parts = [part(oid.commonName, commonName)];
  if (organization !== undefined) parts.unshift(part(oid.organization, organization));
  return der.sequence(...parts);
}

const publicKeyInfo = (key: KeyObject): Buffer => key.export({ type: "spki", format: "der" });

/** SHA-1 over the key, as RFC 5280 section 4.2.1.2 suggests; here over its whole SubjectPublicKeyInfo. */
const keyIdentifier = (key: KeyObject): Uint8Array => createHash("sha1").update(publicKeyInfo(key)).digest();

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [der.boolean(true)] : [];
  return der.sequence(der.objectIdentifier(id), ...flag, der.octetString(value));
}

/** GeneralName: `[7]` bytes of an address, else `[2]` a DNS name. */
function generalName(name: string): Uint8Array {
  return /^[0-9.]+$|:/.test(name)
    ? der.context(7, "primitive", parseIp(name).bytes)
    : der.context(2, "primitive", Buffer.from(name, "ascii"));
}

function extensions(request: CertificateRequest, issuer: Issuer): Uint8Array {
  const { authority = false, names = [], purposes = [], publicKey } = request;
  const usage = authority
    ? [keyUsage.digitalSignature, keyUsage.keyCertSign, keyUsage.crlSign]
    : [keyUsage.digitalSignature];
  const purposeIds = purposes.map((purpose) =>
    der.objectIdentifier(purpose === "server" ? oid.serverAuth : oid.clientAuth),
  );
  const issuerKey = der.context(0, "primitive", keyIdentifier(issuer.publicKey));
  return der.sequence(
    extension(oid.basicConstraints, der.sequence(...(authority ? [der.boolean(true)] : [])), true),
    extension(oid.keyUsage, der.namedBits(usage), true),
    ...(purposeIds.length > 0 ? [extension(oid.extendedKeyUsage, der.sequence(...purposeIds))] : []),
    extension(oid.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
    ...(authority ? [] : [extension(oid.authorityKeyIdentifier, der.sequence(issuerKey))]),
    ...(names.length > 0 ? [extension(oid.subjectAltName, der.sequence(...names.map(generalName)))] : []),
  );
}

/** Positive, not guessable, at most 20 bytes (RFC 5280 section 4.1.2.2). */
function serialNumber(): Uint8Array {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

/**
 * Makes an X.509 version 3 certificate (RFC 5280).
 * @returns PEM, with a newline at its end
 * @throws PodwireError when a name looks like an address and is none
 */
export function issueCertificate(request: CertificateRequest, issuer: Issuer): string {
  const algorithm = der.sequence(der.objectIdentifier(oid.ecdsaWithSha256));
  const body = der.sequence(
    der.context(0, "constructed", der.integer(Uint8Array.of(version3))),
    der.integer(serialNumber()),
    algorithm,
    distinguishedName(issuer.name),
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    distinguishedName(request.subject),
    publicKeyInfo(request.publicKey),
    der.context(3, "constructed", extensions(request, issuer)),
  );
  const signature = sign("sha256", body, issuer.privateKey);
  const base64 = Buffer.from(der.sequence(body, algorithm, der.bitString(signature))).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
