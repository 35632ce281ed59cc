import { errorMessage } from "#base/errors.ts";
import { tryParseIp } from "#base/ip.ts";
import { parsePortRange } from "./portRange.ts";

/** What is wrong with a value, in upstream's words (pkg/proxy/apis/config/validation); undefined when nothing is. */
export type Check<T> = (value: T) => string | undefined;

/** A number within bounds, both allowed. */
export const within =
  (low: number, high: number): Check<number> =>
  (value) =>
    value < low || value > high ? `must be within the range [${low}, ${high}]` : undefined;

/** At least 0. */
export const notNegative: Check<number> = (value) => (value < 0 ? "must be greater than or equal to 0" : undefined);

/** More than 0. */
export const positive: Check<number> = (value) => (value <= 0 ? "must be greater than 0" : undefined);

/** One of these words, or none. */
export const oneOf =
  (words: readonly string[], blank: string): Check<string> =>
  (value) =>
    value === "" || words.includes(value) ? undefined : `must be ${words.join(",")} or blank (blank means ${blank})`;

/** A name of an interface, or how it begins: the kernel has 15 bytes for it (IFNAMSIZ). */
export const interfaceName: Check<string> = (value) =>
  Buffer.byteLength(value) > 15 ? "must be no more than 15 bytes" : undefined;

/** An IP address, or nothing. */
export const address: Check<string> = (value) =>
  value === "" || tryParseIp(value) ? undefined : "not a valid textual representation of an IP address";

/** `IP`, `IP:port`, `[IPv6]:port`, or nothing. */
export const bindAddress: Check<string> = (value) => {
  if (value === "") return undefined;
  const bound = splitBind(value);
  if (!bound) return "must be IP:port";
  if (!tryParseIp(bound.host)) return "must be a valid IP";
  return bound.port === undefined || (bound.port >= 1 && bound.port <= 65_535) ? undefined : "must be a valid port";
};

/** Host and port of a bind address; undefined when it has neither form. The port is absent where none is written. */
export function splitBind(text: string): { readonly host: string; readonly port?: number } | undefined {
  if (tryParseIp(text)) return { host: text };
  const [, v6, v4, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,6}))?$/.exec(text) ?? [];
  const host = v6 ?? v4;
  if (host === undefined) return undefined;
  return { host, ...(port === undefined ? {} : { port: Number(port) }) };
}

const isCidr = (text: string): boolean => {
  const [ip = "", prefix = "", ...more] = text.split("/");
  const family = tryParseIp(ip)?.family;
  return !!family && more.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
};

/** One CIDR, or one of each family with a comma between; or nothing. */
export const clusterCidrs: Check<string> = (value) => {
  if (value === "") return undefined;
  const cidrs = value.split(",");
  if (cidrs.length > 2)
    return "only one CIDR allowed or a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)";
  const families = new Set(cidrs.map((cidr) => cidr.includes(":")));
  if (cidrs.length === 2 && (!cidrs.every(isCidr) || families.size !== 2))
    return "must be a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)";
  return cidrs.every(isCidr) ? undefined : "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)";
};

/** CIDRs, or the one word "primary". */
export const nodePortCidrs: Check<readonly string[]> = (values) => {
  if (values.length === 1 && values[0] === "primary") return undefined;
  if (values.includes("primary")) return "can't use both 'primary' and CIDRs";
  return values.every(isCidr) ? undefined : "must be a valid CIDR";
};

/** CIDRs. */
export const cidrList: Check<readonly string[]> = (values) =>
  values.every(isCidr) ? undefined : "must be a valid IP block";

/** Ports, or nothing. */
export const portRange: Check<string> = (value) => {
  try {
    parsePortRange(value);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
};

/** `1.35`, or nothing. */
export const minorVersion: Check<string> = (value) =>
  value === "" || /^\d+\.\d+$/.test(value) ? undefined : "must be a version such as 1.35";
