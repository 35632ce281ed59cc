import type { Environment } from "@marcbachmann/cel-js";
import {
  type Cidr,
  cidrContains,
  cidrNetwork,
  formatCidr,
  formatIp,
  type Ip,
  ipEquals,
  parseCidr,
  parseIp,
  tryParseIp,
} from "#base/ip.ts";

/**
 * Kubernetes' CEL libraries of addresses and URLs.
 * Source: kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library and the sections around it,
 * k8s.io/apiserver/pkg/cel/library.
 */

/** An address in rules: a class of its own, by which CEL knows the type. */
class RuleIp {
  readonly ip: Ip;

  constructor(ip: Ip) {
    this.ip = ip;
  }
}

/** A CIDR in rules. */
class RuleCidr {
  readonly cidr: Cidr;

  constructor(cidr: Cidr) {
    this.cidr = cidr;
  }
}

/** A URL in rules, in its parts as they are written. */
class RuleUrl {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;

  constructor(text: string) {
    const parts = urlParts(text);
    if (!parts) throw new Error(`URL parse error during conversion from string: parse ${JSON.stringify(text)}`);
    [this.scheme, this.host, this.path, this.query] = parts;
  }
}

function urlParts(text: string): [scheme: string, host: string, path: string, query: string] | undefined {
  const match = /^(?:([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/(?:[^/?#@]*@)?([^/?#]*))?)?([^?#\s]*)(?:\?([^#\s]*))?$/.exec(
    text,
  );
  if (!match || text === "") return undefined;
  const [, scheme = "", host = "", path = "", query = ""] = match;
  // Without a scheme only a path from the root is a URI that can be requested.
  if (scheme === "" ? !path.startsWith("/") : !URL.canParse(text)) return undefined;
  return [scheme.toLowerCase(), host, path, query];
}

function hostParts(host: string): [name: string, port: string] {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(host);
  return [match?.[1] ?? match?.[2] ?? host, match?.[3] ?? ""];
}

function queryOf(query: string): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) out.set(name, [...(out.get(name) ?? []), value]);
  return out;
}

/** An address as these libraries take it: neither mapped into IPv6 nor with a zone. */
function addressOf(text: string): RuleIp {
  const ip = tryParseIp(text);
  if (!ip) throw new Error(`IP Address '${text}' parse error during conversion from string`);
  if (isMapped(ip)) throw new Error("IPv4-mapped IPv6 address is not allowed");
  return new RuleIp(ip);
}

function isMapped({ family, bytes }: Ip): boolean {
  return family === 6 && bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 255 && bytes[11] === 255;
}

function networkOf(text: string): RuleCidr {
  try {
    return new RuleCidr(parseCidr(text));
  } catch {
    throw new Error(`network address parse error during conversion from string: ${JSON.stringify(text)}`);
  }
}

const works = (make: (text: string) => unknown) => (text: string) => {
  try {
    make(text);
    return true;
  } catch {
    return false;
  }
};

const within = (ip: Ip, ...networks: string[]) =>
  networks.some((text) => {
    const network = parseCidr(text);
    return network.ip.family === ip.family && cidrContains(network, ip);
  });
const isUnspecified = (ip: Ip) => ip.bytes.every((b) => b === 0);
const isLoopback = (ip: Ip) => within(ip, "127.0.0.0/8", "::1/128");
const isLinkLocal = (ip: Ip) => within(ip, "169.254.0.0/16", "fe80::/10");

function isGlobalUnicast(ip: Ip): boolean {
  const special = isUnspecified(ip) || isLoopback(ip) || isLinkLocal(ip);
  return !special && !within(ip, "224.0.0.0/4", "ff00::/8", "255.255.255.255/32");
}

function contains(outer: Cidr, inner: Ip | Cidr): boolean {
  const family = "ip" in inner ? inner.ip.family : inner.family;
  return family === outer.ip.family && cidrContains(outer, inner);
}

/** Registers the functions of the IP, CIDR and URL libraries. */
export function registerNetwork(environment: Environment): void {
  registerUrls(environment);
  environment
    .registerType("IP", RuleIp)
    .registerType("CIDR", RuleCidr)
    .registerOperator("IP == IP", (a: RuleIp, b: RuleIp) => ipEquals(a.ip, b.ip))
    .registerOperator("CIDR == CIDR", (a: RuleCidr, b: RuleCidr) => formatCidr(a.cidr) === formatCidr(b.cidr))
    .registerFunction("isIP(string): bool", works(addressOf))
    .registerFunction("ip(string): IP", addressOf)
    .registerFunction("string(IP): string", ({ ip }: RuleIp) => formatIp(ip))
    .registerFunction("IP.family(): int", ({ ip }: RuleIp) => BigInt(ip.family))
    .registerFunction("IP.isUnspecified(): bool", ({ ip }: RuleIp) => isUnspecified(ip))
    .registerFunction("IP.isLoopback(): bool", ({ ip }: RuleIp) => isLoopback(ip))
    .registerFunction("IP.isLinkLocalUnicast(): bool", ({ ip }: RuleIp) => isLinkLocal(ip))
    .registerFunction("IP.isLinkLocalMulticast(): bool", ({ ip }: RuleIp) => within(ip, "224.0.0.0/24", "ff02::/16"))
    .registerFunction("IP.isGlobalUnicast(): bool", ({ ip }: RuleIp) => isGlobalUnicast(ip))
    .registerFunction("isCIDR(string): bool", works(networkOf))
    .registerFunction("cidr(string): CIDR", networkOf)
    .registerFunction("string(CIDR): string", ({ cidr }: RuleCidr) => formatCidr(cidr))
    .registerFunction("CIDR.ip(): IP", ({ cidr }: RuleCidr) => new RuleIp(cidr.ip))
    .registerFunction("CIDR.masked(): CIDR", ({ cidr }: RuleCidr) => new RuleCidr(cidrNetwork(cidr)))
    .registerFunction("CIDR.prefixLength(): int", ({ cidr }: RuleCidr) => BigInt(cidr.prefix))
    .registerFunction("CIDR.containsIP(IP): bool", (a: RuleCidr, b: RuleIp) => contains(a.cidr, b.ip))
    .registerFunction("CIDR.containsIP(string): bool", (a: RuleCidr, b: string) => contains(a.cidr, parseIp(b)))
    .registerFunction("CIDR.containsCIDR(CIDR): bool", (a: RuleCidr, b: RuleCidr) => contains(a.cidr, b.cidr))
    .registerFunction("CIDR.containsCIDR(string): bool", (a: RuleCidr, b: string) => contains(a.cidr, parseCidr(b)));
}

function registerUrls(environment: Environment): void {
  environment
    .registerType("URL", RuleUrl)
    .registerFunction("isURL(string): bool", (text: string) => urlParts(text) !== undefined)
    .registerFunction("url(string): URL", (text: string) => new RuleUrl(text))
    .registerFunction("URL.getScheme(): string", (url: RuleUrl) => url.scheme)
    .registerFunction("URL.getHost(): string", (url: RuleUrl) => url.host)
    .registerFunction("URL.getHostname(): string", (url: RuleUrl) => hostParts(url.host)[0])
    .registerFunction("URL.getPort(): string", (url: RuleUrl) => hostParts(url.host)[1])
    .registerFunction("URL.getEscapedPath(): string", (url: RuleUrl) => url.path)
    .registerFunction("URL.getQuery(): map", (url: RuleUrl) => queryOf(url.query));
}
