/** X.509 certificates: encoding and signing. */
export { type CertificateRequest, type DistinguishedName, type Issuer, issueCertificate } from "./certificate.ts";
