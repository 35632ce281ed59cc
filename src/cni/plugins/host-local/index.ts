import { readFileSync } from "node:fs";
import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import { isObject, type Json, type JsonObject } from "../../config/json.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";
import type { CniPlugin, PluginCall, PluginDeps } from "../../plugin.ts";
import { type CniResult, parseResult, type ResultDns, type ResultIp } from "../../result.ts";
import { candidates, parseRangeSets, type Range, type RangeSet, rangeHas, rangeText } from "./ranges.ts";
import { AddressStore, type Held, type Owner } from "./store.ts";

const DATA_DIR = "/var/lib/cni/networks";

/**
 * The IPAM plugin `host-local`: addresses of this node's ranges, remembered as files (see {@link AddressStore}).
 * Configuration: `ranges` or `subnet`, `rangeStart`, `rangeEnd`, `gateway`; `routes`, `dataDir`, `resolvConf`.
 */
export function hostLocalPlugin(deps: Pick<PluginDeps, "lock">): CniPlugin {
  /** What this process has read of each directory. */
  const known = new Map<string, Map<string, Held>>();
  const withStore = async <T>(call: PluginCall, work: (store: AddressStore, ipam: JsonObject) => T): Promise<T> => {
    const ipam = ipamSection(call);
    const dataDir = typeof ipam.dataDir === "string" ? ipam.dataDir : DATA_DIR;
    const key = JSON.stringify([dataDir, call.networkName]);
    const owners = known.get(key) ?? new Map<string, Held>();
    known.set(key, owners);
    const store = new AddressStore(dataDir, call.networkName, owners);
    const release = await deps.lock(store.lockFile);
    try {
      return work(store, ipam);
    } finally {
      release();
    }
  };
  return {
    add: (call) => withStore(call, (store, ipam) => add(call, store, ipam)),
    del: (call) =>
      withStore(call, (store) => {
        for (const ip of store.heldBy(ownerOf(call))) store.release(ip);
      }),
    check: (call) => withStore(call, (store) => check(call, store)),
    status: (call) => withStore(call, (store, ipam) => status(store, ipam)),
    gc: (call) => withStore(call, (store) => collect(call, store)),
  };
}

function ipamSection(call: PluginCall): JsonObject {
  if (isObject(call.config.ipam)) return call.config.ipam;
  throw new CniError(CNI_ERROR.INVALID_CONFIG, 'IPAM config missing "ipam" key');
}

function ownerOf(call: PluginCall): Owner {
  return { containerId: call.containerId, ifName: call.ifName };
}

function add(call: PluginCall, store: AddressStore, ipam: JsonObject): CniResult {
  const sets = parseRangeSets(ipam);
  const wanted = requestedAddresses(call, ipam);
  const routes = parseResult({ routes: ipam.routes ?? [] }, "1.0.0").routes;
  const dns = typeof ipam.resolvConf === "string" ? parseResolvConf(readFileSync(ipam.resolvConf, "utf8")) : {};
  const unknown = wanted.find((ip) => !sets.some((set) => set.some((range) => rangeHas(range, ip))));
  if (unknown) {
    throw new CniError(CNI_ERROR.INVALID_CONFIG, `requested address ${formatIp(unknown)} is in none of the ranges`);
  }
  const owner = ownerOf(call);
  const [present] = store.addressesOf(owner);
  if (present) {
    const who = `${owner.containerId}/${owner.ifName}`;
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `${formatIp(present)} has been allocated to ${who}, duplicate allocation is not allowed`,
    );
  }
  const taken: Ip[] = [];
  try {
    const ips = sets.map((set, position): ResultIp => {
      const { ip, range } = allocate(store, set, position, owner, wanted);
      taken.push(ip);
      return { address: `${formatIp(ip)}/${range.subnet.prefix}`, gateway: formatIp(range.gateway) };
    });
    return { interfaces: [], ips, routes, dns };
  } catch (error) {
    for (const ip of taken) store.release(ip);
    throw error;
  }
}

/** Takes the requested address that lies in the set, else the next free one. Removes the request from `wanted`. */
function allocate(
  store: AddressStore,
  set: RangeSet,
  position: number,
  owner: Owner,
  wanted: Ip[],
): { ip: Ip; range: Range } {
  const request = wanted.findIndex((ip) => set.some((range) => rangeHas(range, ip)));
  if (request >= 0) {
    const [ip] = wanted.splice(request, 1);
    const range = set.find((candidate) => ip && rangeHas(candidate, ip));
    if (ip && range && store.reserve(ip, owner)) return { ip, range };
    throw new CniError(CNI_ERROR.INTERNAL, `requested IP address ${ip ? formatIp(ip) : ""} is not available`);
  }
  const inUse = store.names();
  for (const candidate of candidates(set, store.lastReserved(position))) {
    if (inUse.has(formatIp(candidate.ip)) || !store.reserve(candidate.ip, owner)) continue;
    store.setLastReserved(position, candidate.ip);
    return candidate;
  }
  throw exhausted(set);
}

function exhausted(set: RangeSet): CniError {
  return new CniError(CNI_ERROR.INTERNAL, `no IP addresses available in range set: ${set.map(rangeText).join(", ")}`);
}

/** Addresses asked for by CNI_ARGS (`IP=`), by `args.cni.ips` or by the capability `ips`. */
function requestedAddresses(call: PluginCall, ipam: JsonObject): Ip[] {
  const list = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(String) : []);
  const section = (value: Json | undefined, key: string): Json | undefined =>
    isObject(value) ? value[key] : undefined;
  const texts = [
    ...(call.args.IP ? [call.args.IP] : []),
    ...list(section(section(call.config.args, "cni"), "ips")),
    ...list(section(call.config.runtimeConfig, "ips")),
    ...list(section(ipam.args, "ips")),
  ];
  return texts.map((text) => {
    const ip = tryParseIp(text.split("/")[0] ?? "");
    if (!ip)
      throw new CniError(CNI_ERROR.INVALID_CONFIG, `requested address ${JSON.stringify(text)} is not an IP address`);
    return ip;
  });
}

function check(call: PluginCall, store: AddressStore): void {
  if (store.heldBy(ownerOf(call)).length > 0) return;
  throw new CniError(
    CNI_ERROR.UNKNOWN_CONTAINER,
    `host-local: failed to find address added by container ${call.containerId}`,
  );
}

/** Whether each range set has a free address. */
function status(store: AddressStore, ipam: JsonObject): void {
  const inUse = store.names();
  for (const set of parseRangeSets(ipam)) {
    let free = false;
    for (const { ip } of candidates(set, undefined)) {
      free = !inUse.has(formatIp(ip));
      if (free) break;
    }
    if (!free) throw new CniError(CNI_ERROR.NOT_AVAILABLE, exhausted(set).message);
  }
}

/** Frees addresses of attachments that are not listed as valid (SPEC.md 1.1.0, "GC"). */
function collect(call: PluginCall, store: AddressStore): void {
  const valid = call.config["cni.dev/valid-attachments"];
  if (!Array.isArray(valid)) throw new CniError(CNI_ERROR.INVALID_CONFIG, 'GC without "cni.dev/valid-attachments"');
  const kept = new Set((valid as Json[]).filter(isObject).map((item) => `${item.containerID} ${item.ifname}`));
  for (const { ip, owner } of store.entries()) {
    if (!kept.has(`${owner.containerId} ${owner.ifName}`)) store.release(ip);
  }
}

/** The lines of resolv.conf(5) as a result's DNS section. */
export function parseResolvConf(text: string): ResultDns {
  const nameservers: string[] = [];
  let search: string[] = [];
  let options: string[] = [];
  let domain: string | undefined;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && values[0]) nameservers.push(values[0]);
    else if (keyword === "domain") domain = values[0];
    else if (keyword === "search") search = values;
    else if (keyword === "options") options = [...options, ...values];
  }
  return {
    ...(nameservers.length ? { nameservers } : {}),
    ...(domain === undefined ? {} : { domain }),
    ...(search.length ? { search } : {}),
    ...(options.length ? { options } : {}),
  };
}
