import { parseCidr } from "#base/ip.ts";
import { isObject, type JsonObject } from "./config/json.ts";
import { atLeast } from "./config/versions.ts";
import { CNI_ERROR, CniError } from "./errors.ts";

/** An interface that a plugin made. `sandbox` is the namespace path, absent on the node's side. */
export interface ResultInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
}

/** An address. `interface` is a position in the result's interfaces. */
export interface ResultIp {
  /** With prefix length. */
  readonly address: string;
  readonly gateway?: string;
  readonly interface?: number;
}

/** A route inside the container. */
export interface ResultRoute {
  readonly dst: string;
  readonly gw?: string;
  readonly mtu?: number;
  readonly priority?: number;
  readonly table?: number;
}

/** Names that the network provides. */
export interface ResultDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What an ADD did, in the shape of CNI 1.1.0; {@link resultJson} and {@link parseResult} convert. */
export interface CniResult {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: ResultDns;
}

/** A result without anything in it. */
export const emptyResult: CniResult = { interfaces: [], ips: [], routes: [], dns: {} };

/**
 * The result as JSON of a version of the specification. Versions before 0.3.0 have no interfaces and one address of
 * each family; the first is taken.
 */
export function resultJson(result: CniResult, version: string): JsonObject {
  if (!atLeast(version, "0.3.0")) return legacyJson(result, version);
  const ips = result.ips.map((ip) => ({
    ...(atLeast(version, "1.0.0") ? {} : { version: String(parseCidr(ip.address).ip.family) }),
    ...(ip.interface === undefined ? {} : { interface: ip.interface }),
    address: ip.address,
    ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
  }));
  const interfaces = result.interfaces.map(({ mtu, ...rest }) =>
    mtu !== undefined && atLeast(version, "1.1.0") ? { ...rest, mtu } : rest,
  );
  const routes = result.routes.map((route) =>
    atLeast(version, "1.1.0") ? { ...route } : { dst: route.dst, ...(route.gw === undefined ? {} : { gw: route.gw }) },
  );
  return {
    cniVersion: version,
    ...(interfaces.length ? { interfaces } : {}),
    ...(ips.length ? { ips } : {}),
    ...(routes.length ? { routes } : {}),
    dns: { ...result.dns },
  };
}

/** SPEC.md 0.2.0, "Result": ip4 and ip6 with address, gateway and routes each. */
function legacyJson(result: CniResult, version: string): JsonObject {
  const part = (family: 4 | 6): JsonObject => {
    const ip = result.ips.find((candidate) => parseCidr(candidate.address).ip.family === family);
    if (!ip) return {};
    const routes = result.routes
      .filter((route) => parseCidr(route.dst).ip.family === family)
      .map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) }));
    const gateway = ip.gateway === undefined ? {} : { gateway: ip.gateway };
    return { [`ip${family}`]: { ip: ip.address, ...gateway, ...(routes.length ? { routes } : {}) } };
  };
  return { cniVersion: version, ...part(4), ...part(6), dns: { ...result.dns } };
}

/**
 * Reads a result of any version; its own cniVersion decides, `version` when it names none.
 * @throws CniError DECODE_FAILURE
 */
export function parseResult(value: unknown, version: string): CniResult {
  if (!isObject(value)) throw new CniError(CNI_ERROR.DECODE_FAILURE, "result is not a JSON object");
  const own = typeof value.cniVersion === "string" && value.cniVersion !== "" ? value.cniVersion : version;
  const dns = isObject(value.dns) ? (value.dns as ResultDns) : {};
  if (!atLeast(own, "0.3.0") || "ip4" in value || "ip6" in value) return { ...parseLegacy(value), dns };
  return {
    interfaces: objects(value.interfaces).map((item) => ({
      name: text(item, "name"),
      ...optionalText(item, "mac"),
      ...optionalNumber(item, "mtu"),
      ...optionalText(item, "sandbox"),
    })),
    ips: objects(value.ips).map((item) => ({
      address: cidrText(item, "address"),
      ...optionalText(item, "gateway"),
      ...optionalNumber(item, "interface"),
    })),
    routes: objects(value.routes).map(parseRoute),
    dns,
  };
}

function parseLegacy(value: JsonObject): Omit<CniResult, "dns"> {
  const ips: ResultIp[] = [];
  const routes: ResultRoute[] = [];
  for (const part of [value.ip4, value.ip6]) {
    if (!isObject(part)) continue;
    ips.push({ address: cidrText(part, "ip"), ...optionalText(part, "gateway") });
    routes.push(...objects(part.routes).map(parseRoute));
  }
  return { interfaces: [], ips, routes };
}

function parseRoute(item: JsonObject): ResultRoute {
  return {
    dst: cidrText(item, "dst"),
    ...optionalText(item, "gw"),
    ...optionalNumber(item, "mtu"),
    ...optionalNumber(item, "priority"),
    ...optionalNumber(item, "table"),
  };
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function text(item: JsonObject, key: string): string {
  const value = item[key];
  if (typeof value !== "string") throw new CniError(CNI_ERROR.DECODE_FAILURE, `result: ${key} is not text`);
  return value;
}

function cidrText(item: JsonObject, key: string): string {
  const value = text(item, key);
  try {
    parseCidr(value);
  } catch (error) {
    throw new CniError(CNI_ERROR.DECODE_FAILURE, `result: ${key} is no CIDR: ${value}`, "", error);
  }
  return value;
}

function optionalText<K extends string>(item: JsonObject, key: K): { [P in K]?: string } {
  const value = item[key];
  return (typeof value === "string" && value !== "" ? { [key]: value } : {}) as { [P in K]?: string };
}

function optionalNumber<K extends string>(item: JsonObject, key: K): { [P in K]?: number } {
  const value = item[key];
  return (typeof value === "number" ? { [key]: value } : {}) as { [P in K]?: number };
}
