import { generateKeyPairSync, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as der from "./der.ts";
import { type Issuer, issueCertificate } from "./index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("DER", () => {
  it("encodes as X.690's and RFC 5280's examples", () => {
    expect(hex(der.integer(Uint8Array.of(0)))).toBe("020100");
    expect(hex(der.integer(Uint8Array.of(0, 0, 127)))).toBe("02017f");
    expect(hex(der.integer(Uint8Array.of(128)))).toBe("02020080");
    expect(hex(der.objectIdentifier("1.2.840.10045.4.3.2"))).toBe("06082a8648ce3d040302");
    expect(hex(der.namedBits([0]))).toBe("03020780");
    expect(hex(der.namedBits([0, 5, 6]))).toBe("03020186");
    expect(hex(der.boolean(true))).toBe("0101ff");
    expect(der.time(new Date("2049-12-31T23:59:59.999Z")).subarray(2).toString()).toBe("491231235959Z");
    expect(der.time(new Date("2050-01-01T00:00:00Z")).subarray(2).toString()).toBe("20500101000000Z");
  });

  it("writes lengths in the shortest form", () => {
    expect(hex(der.octetString(new Uint8Array(127)).subarray(0, 2))).toBe("047f");
    expect(hex(der.octetString(new Uint8Array(128)).subarray(0, 3))).toBe("048180");
    expect(hex(der.octetString(new Uint8Array(256)).subarray(0, 4))).toBe("04820100");
  });
});

const authorityKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const authority: Issuer = { name: { commonName: "kubernetes" }, ...authorityKeys };
const times = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2055-01-01T00:00:00Z") };

describe("certificates", () => {
  const root = new X509Certificate(
    issueCertificate(
      { subject: authority.name, publicKey: authorityKeys.publicKey, authority: true, ...times },
      authority,
    ),
  );

  it("of an authority sign themselves and others", () => {
    const text = issueCertificate(
      { subject: { commonName: "x" }, publicKey: keys.publicKey, purposes: ["client"], ...times },
      authority,
    );
    const certificate = new X509Certificate(text);
    expect(root.ca).toBe(true);
    expect(root.verify(authorityKeys.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkIssued(root)).toBe(true);
    expect(certificate.verify(authorityKeys.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(keys.privateKey)).toBe(true);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(certificate.validToDate).toEqual(times.notAfter);
  });

  it("carry any subject and any names", () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    const word = fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" });
    fc.assert(
      fc.property(
        word,
        fc.array(label, { maxLength: 30 }),
        fc.array(address, { maxLength: 30 }),
        (user, hosts, ips) => {
          const request = { subject: { organization: "g", commonName: user }, publicKey: keys.publicKey, ...times };
          const certificate = new X509Certificate(
            issueCertificate({ ...request, names: [...hosts, ...ips] }, authority),
          );
          expect(certificate.verify(authorityKeys.publicKey)).toBe(true);
          expect(certificate.toLegacyObject().subject).toMatchObject({ O: "g", CN: user });
          for (const host of hosts) expect(certificate.checkHost(host)).toBe(host);
          for (const ip of ips) expect(certificate.checkIP(ip)).toBeDefined();
        },
      ),
      { seed: 7, numRuns: 50 },
    );
  });
});
