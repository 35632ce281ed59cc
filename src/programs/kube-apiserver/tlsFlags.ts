import { FlagError } from "./flagReader.ts";

/** The lowest version of TLS that clients may choose. */
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

const old = ["VersionTLS10", "VersionTLS11"];

/** What --tls-min-version means. @throws FlagError with kube-apiserver's words */
export function tlsVersion(name: string): TlsVersion {
  if (name === "VersionTLS12") return "TLSv1.2";
  if (name === "VersionTLS13") return "TLSv1.3";
  if (old.includes(name))
    throw new FlagError(`--tls-min-version: ${name} is not offered; allowed are VersionTLS12, VersionTLS13`);
  throw new FlagError(`unknown tls version ${JSON.stringify(name)}`);
}

/** Go's names of the suites of TLS 1.2 that the TLS library has, with the library's (openssl-ciphers(1)). */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: "ECDHE-RSA-AES128-SHA256",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
  TLS_RSA_WITH_AES_128_CBC_SHA256: "AES128-SHA256",
};

/** Go's suites that the TLS library does not offer: they are broken. */
const broken = [
  "TLS_RSA_WITH_RC4_128_SHA",
  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
];

/** The suites of TLS 1.3: as in Go, all are offered, whatever a list names. */
const ofTls13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** RFC 9113, section 9.2: servers of HTTP/2 have to offer it over TLS 1.2. */
const ofHttp2 = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

/**
 * What --tls-cipher-suites means, as the TLS library's list.
 * @throws FlagError with kube-apiserver's words, and those of Go's HTTP/2 server
 */
export function cipherList(names: readonly string[], minVersion: TlsVersion): string {
  for (const name of names) {
    if (broken.includes(name)) throw new FlagError(`--tls-cipher-suites: ${name} is not offered: it is broken`);
    if (!(name in suites) && !ofTls13.includes(name))
      throw new FlagError(`Cipher suite ${name} not supported or doesn't exist`);
  }
  if (minVersion === "TLSv1.2" && !names.some((name) => ofHttp2.includes(name)))
    throw new FlagError(
      `error configuring http2: http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least one of ${ofHttp2.join(" or ")})`,
    );
  return [...ofTls13, ...names.flatMap((name) => suites[name] ?? [])].join(":");
}
