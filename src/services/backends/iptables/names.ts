import { createHash } from "node:crypto";

/** Characters of base32 (RFC 4648, section 6). */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** A chain's name has at most 28 characters: so many of the hash stay. */
const HASH_LENGTH = 16;

/** What stands before the hash in the name of a Service's chains; the last one is of kube-proxy before 1.25. */
const servicePrefixes = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-XLB-"];

/** Chains of one port of a Service. */
export interface PortChains {
  /** All endpoints: traffic policy Cluster. */
  readonly cluster: string;
  /** Those on this node: traffic policy Local. */
  readonly local: string;
  /** What comes by NodePort, external address or load balancer. */
  readonly external: string;
  /** Who may come by load balancer. */
  readonly firewall: string;
}

/**
 * Names of the chains of a port.
 * @param label `namespace/name:port`
 * @param protocol in small letters
 */
export function portChains(label: string, protocol: string): PortChains {
  const hash = chainHash(`${label}${protocol}`);
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

/** Name of the chain for one endpoint of a port; `endpoint` is `address:port`, of IPv6 `[address]:port`. */
export function endpointChain(label: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${chainHash(`${label}${protocol}${endpoint}`)}`;
}

/** Whether a chain is one that a proxy makes for a Service: it goes when the Service is gone. */
export function isServiceChain(name: string): boolean {
  return servicePrefixes.some((prefix) => name.startsWith(prefix));
}

/** The first characters of the SHA-256 sum in base32, as kube-proxy's. */
function chainHash(text: string): string {
  const digest = createHash("sha256").update(text).digest();
  let bits = 0n;
  // Ten bytes are the 80 bits of 16 characters.
  for (const byte of digest.subarray(0, (HASH_LENGTH * 5) / 8)) bits = (bits << 8n) | BigInt(byte);
  return Array.from({ length: HASH_LENGTH }, (_, i) => ALPHABET[Number((bits >> BigInt(75 - 5 * i)) & 31n)]).join("");
}
