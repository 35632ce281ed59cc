import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import {
  addressOfReverseName,
  RecordClass,
  type RecordData,
  RecordType,
  type ResourceRecord,
  tryParseName,
} from "#wire/dns/index.ts";
import type { ClusterIndex, EndpointEntry, PortEntry, ServiceEntry } from "./clusterIndex.ts";
import { type ClusterName, endpointLabel, parseClusterName } from "./names.ts";
import { isExposed, isShown, type RecordOptions } from "./options.ts";
import { hostsAt, nameServers } from "./reverse.ts";

/** Version of the record schema, the text of `dns-version.<zone>` (DNS-based service discovery §2.2). */
export const schemaVersion = "1.1.0";

/** What the cluster says to a question. */
export type Answer =
  | {
      readonly kind: "records";
      readonly records: readonly ResourceRecord[];
      readonly additionals?: readonly ResourceRecord[];
    }
  /** The name exists, without such records. */
  | { readonly kind: "nodata" }
  | { readonly kind: "nxdomain" }
  /** An ExternalName Service: the target has to be looked up elsewhere. */
  | {
      readonly kind: "alias";
      readonly record: ResourceRecord;
      readonly target: string;
    };

const nodata: Answer = { kind: "nodata" };
const nxdomain: Answer = { kind: "nxdomain" };

/** One place that a service name leads to. */
interface Target {
  readonly address: Ip;
  readonly ports: readonly PortEntry[];
  /** Full name for SRV records. */
  readonly host: string;
}

/** Answers questions from a ClusterIndex: the whole schema, without I/O and clock. */
export class ClusterRecords {
  readonly #index: ClusterIndex;
  readonly #options: RecordOptions;
  /** This server's own addresses, for NS records. */
  readonly #own: readonly Ip[];

  constructor(index: ClusterIndex, options: RecordOptions, ownAddresses: readonly Ip[] = []) {
    this.#index = index;
    this.#options = options;
    this.#own = ownAddresses;
  }

  /** Whether only namespaces that are known, since their labels fit, have names. */
  get labelledNamespaces(): boolean {
    return this.#options.labelledNamespaces ?? false;
  }

  /** Whether a namespace's names are answered, if there is such a namespace. */
  shows(namespace: string): boolean {
    return isExposed(this.#options, this.#index, namespace);
  }

  /**
   * @param owner the name as asked, which the records bear
   * @param name the same in lower case, lying in `zone`
   */
  lookup(owner: string, name: string, zone: string, type: number): Answer {
    if (isReverseZone(zone)) return this.#reverse(owner, name, zone, type);
    const parsed = parseClusterName(name, zone);
    switch (parsed.kind) {
      case "apex":
        return this.#apex(owner, zone, type);
      case "version": {
        const strings = [new TextEncoder().encode(schemaVersion)];
        return type === RecordType.TXT ? this.#records(owner, type, [{ kind: "text", strings }]) : nodata;
      }
      case "server":
        return parsed.full ? this.addresses(owner, type, this.#own) : nodata;
      case "area":
        return nodata;
      case "namespace":
        return this.#hasNamespace(parsed.namespace) ? nodata : nxdomain;
      case "service":
        return this.#service(owner, zone, type, parsed);
      case "pod":
        return this.#pod(owner, type, parsed);
      case "unknown":
        return nxdomain;
    }
  }

  /**
   * Addresses behind the names of a headless Service's endpoints, by label in lower case: what lookup would find for each,
   * in one pass over all.
   */
  endpoints(namespace: string, name: string): ReadonlyMap<string, readonly Ip[]> {
    const service = this.#index.service(namespace, name);
    const byLabel = new Map<string, Map<string, Ip>>();
    for (const { entry } of service ? this.#endpoints(service) : []) {
      const label = endpointLabel(entry, this.#options.endpointPodNames).toLowerCase();
      const known = byLabel.get(label);
      if (known) known.set(formatIp(entry.address), entry.address);
      else byLabel.set(label, new Map([[formatIp(entry.address), entry.address]]));
    }
    return new Map([...byLabel].map(([label, addresses]) => [label, [...addresses.values()]]));
  }

  /** The SOA record of a zone, for negative answers (RFC 2308). `serial`: seconds of the last change. */
  soa(zone: string, serial: number): ResourceRecord {
    const { ttl } = this.#options;
    const at = zone === "." ? "" : zone;
    const times = { refresh: 7200, retry: 1800, expire: 86_400, minimum: ttl };
    return this.#record(zone, RecordType.SOA, {
      kind: "soa",
      mname: `ns.dns.${at}`,
      rname: `hostmaster.${at}`,
      serial,
      ...times,
    });
  }

  #service(owner: string, zone: string, type: number, asked: ClusterName & { kind: "service" }): Answer {
    const service = this.#index.service(asked.namespace, asked.service);
    if (!service || !isExposed(this.#options, this.#index, asked.namespace)) return nxdomain;
    if (service.kind === "external") return this.#external(owner, type, service, asked);
    const targets = this.#targets(service, zone, asked.endpoint);
    if (targets === undefined) return nxdomain;
    if (asked.protocol !== undefined && asked.port === undefined) {
      return targets.some(({ ports }) => ports.some(({ name, protocol }) => name && protocol === asked.protocol))
        ? nodata
        : nxdomain;
    }
    const { port, protocol } = asked;
    if (port === undefined) return this.#answer(owner, type, targets);
    const fits = (entry: PortEntry) => entry.name === port && entry.protocol === protocol;
    const fitting = targets
      .map((target) => ({ ...target, ports: target.ports.filter(fits) }))
      .filter(({ ports }) => ports.length > 0);
    return fitting.length === 0 ? nxdomain : this.#answer(owner, type, fitting);
  }

  /** Where a name leads; undefined when it does not exist. */
  #targets(service: ServiceEntry, zone: string, endpoint: string | undefined): Target[] | undefined {
    const { name, namespace, kind } = service;
    const base = `${name}.${namespace}.svc.${zone === "." ? "" : zone}`;
    if (kind === "cluster" && endpoint === undefined) {
      if (this.#options.ignoreEmptyService && this.#endpoints(service).length === 0) return undefined;
      return service.addresses.map((address) => ({
        address,
        ports: service.ports,
        host: base,
      }));
    }
    const targets = this.#endpoints(service)
      .map(({ entry, ports }) => ({
        entry,
        ports,
        label: endpointLabel(entry, this.#options.endpointPodNames),
      }))
      .filter(({ label }) => endpoint === undefined || label.toLowerCase() === endpoint)
      .map(({ entry, ports, label }) => ({
        address: entry.address,
        ports,
        host: `${label}.${base}`,
      }));
    return targets.length === 0 ? undefined : targets; // §2.4.1: without ready endpoints, NXDOMAIN
  }

  /** Ready endpoints of a Service. */
  #endpoints(service: ServiceEntry): { readonly entry: EndpointEntry; readonly ports: readonly PortEntry[] }[] {
    return this.#index
      .slices(service.namespace, service.name)
      .flatMap(({ endpoints, ports }) => endpoints.map((entry) => ({ entry, ports })))
      .filter(({ entry }) => entry.ready || service.publishNotReady);
  }

  #answer(owner: string, type: number, targets: readonly Target[]): Answer {
    if (type === RecordType.SRV) return this.#srv(owner, targets);
    return this.addresses(owner, type, uniqueAddresses(targets));
  }

  #srv(owner: string, targets: readonly Target[]): Answer {
    const places = new Map<string, { readonly host: string; readonly port: number }>();
    for (const { host, ports } of targets) {
      for (const { port } of ports) places.set(`${port} ${host}`, { host, port });
    }
    if (places.size === 0) return nodata;
    // As CoreDNS: equal shares of 100.
    const weight = Math.max(1, Math.floor(100 / places.size));
    const records = [...places.values()].map(({ host, port }) =>
      this.#record(owner, RecordType.SRV, {
        kind: "srv",
        priority: 0,
        weight,
        port,
        target: host,
      }),
    );
    const additionals = new Map<string, ResourceRecord>();
    for (const { host, address, ports } of targets) {
      if (ports.length > 0) additionals.set(`${host} ${formatIp(address)}`, this.#addressRecord(host, address));
    }
    return { kind: "records", records, additionals: [...additionals.values()] };
  }

  #external(owner: string, type: number, service: ServiceEntry, asked: ClusterName & { kind: "service" }): Answer {
    if (asked.endpoint !== undefined || asked.protocol !== undefined) return nxdomain;
    const address = tryParseIp(service.externalName);
    if (address) return this.addresses(owner, type, [address]); // not a name, whatever the field is called
    const target = tryParseName(service.externalName);
    if (target === undefined || target === ".") return nodata;
    return {
      kind: "alias",
      target,
      record: this.#record(owner, RecordType.CNAME, { kind: "name", target }),
    };
  }

  #pod(owner: string, type: number, { namespace, address }: ClusterName & { kind: "pod" }): Answer {
    const { podMode } = this.#options;
    if (podMode === "disabled" || !this.#hasNamespace(namespace)) return nxdomain;
    if (podMode === "verified" && !this.#index.hasPod(namespace, address)) return nxdomain;
    return this.addresses(owner, type, [address]);
  }

  #apex(owner: string, zone: string, type: number): Answer {
    if (type === RecordType.SOA) return { kind: "records", records: [this.soa(owner, 0)] };
    if (type !== RecordType.NS) return nodata;
    const servers = nameServers(this.#index, this.#own, zone);
    const records = [...new Set(servers.map(({ host }) => host))].map((target) =>
      this.#record(owner, RecordType.NS, { kind: "name", target }),
    );
    return {
      kind: "records",
      records,
      additionals: servers.map(({ host, address }) => this.#addressRecord(host, address)),
    };
  }

  #reverse(owner: string, name: string, zone: string, type: number): Answer {
    if (name === zone) return this.#apex(owner, zone, type);
    const address = addressOfReverseName(name);
    const targets = address ? hostsAt(this.#index, address, this.#options) : [];
    if (targets.length === 0) return nxdomain;
    if (type !== RecordType.PTR) return nodata;
    return this.#records(
      owner,
      type,
      targets.map((target) => ({ kind: "name", target })),
    );
  }

  /** Those of the addresses that are of the type's family, as a name's records. */
  addresses(owner: string, type: number, addresses: readonly Ip[]): Answer {
    const family = type === RecordType.A ? 4 : type === RecordType.AAAA ? 6 : 0;
    const fitting = addresses.filter((address) => address.family === family);
    if (fitting.length === 0) return nodata;
    return {
      kind: "records",
      records: fitting.map((address) => this.#addressRecord(owner, address)),
    };
  }

  #addressRecord(owner: string, address: Ip): ResourceRecord {
    const type = address.family === 4 ? RecordType.A : RecordType.AAAA;
    return this.#record(owner, type, {
      kind: "address",
      address: address.bytes,
    });
  }

  #records(owner: string, type: number, data: readonly RecordData[]): Answer {
    return {
      kind: "records",
      records: data.map((value) => this.#record(owner, type, value)),
    };
  }

  #record(name: string, type: number, data: RecordData): ResourceRecord {
    return { name, type, class: RecordClass.IN, ttl: this.#options.ttl, data };
  }

  #hasNamespace(namespace: string): boolean {
    return isShown(this.#options, namespace) && this.#index.hasNamespace(namespace);
  }
}

/** Whether a zone (lower case) holds reverse names. */
export function isReverseZone(zone: string): boolean {
  return /(^|\.)(in-addr|ip6)\.arpa\.$/.test(zone);
}

function uniqueAddresses(targets: readonly Target[]): Ip[] {
  return [...new Map(targets.map(({ address }) => [formatIp(address), address])).values()];
}
