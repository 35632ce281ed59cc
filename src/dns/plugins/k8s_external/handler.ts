import { formatIp, type Ip } from "#base/ip.ts";
import {
  isSubdomain,
  Rcode,
  RecordClass,
  type RecordData,
  RecordType,
  type ResourceRecord,
  tryParseName,
} from "#wire/dns/index.ts";
import {
  type Fallthrough,
  fallsThrough,
  type Handler,
  type Instance,
  longestZone,
  makeReply,
  type Plugin,
  type Reply,
  type Request,
  withQuestion,
  withTarget,
} from "../../core/index.ts";
import type { ExternalTarget } from "../kubernetes/external.ts";
import { KubernetesPlugin } from "../kubernetes/handler.ts";

/** What a k8s_external directive says. */
export interface ExternalOptions {
  readonly zones: readonly string[];
  /** Label below a zone where its name server lives: `ns1.APEX.ZONE`. */
  readonly apex: string;
  /** Seconds. */
  readonly ttl: number;
  readonly headless: boolean;
  readonly fallthrough: Fallthrough;
  readonly siblings: () => readonly Plugin[];
  readonly instance: Instance;
}

/** Answers names of the external addresses of Services. */
export class ExternalPlugin implements Plugin {
  readonly name = "k8s_external";
  readonly #options: ExternalOptions;

  constructor(options: ExternalOptions) {
    this.#options = options;
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { zones, apex, fallthrough } = this.#options;
    const zone = longestZone(zones, request.name);
    const cluster = this.#options.siblings().find((plugin) => plugin instanceof KubernetesPlugin);
    if (zone === undefined || !cluster) return next(request);
    const { name, question } = request;
    if (name === zone) return this.#apex(request, zone, cluster);
    const server = join(apex, zone);
    if (isSubdomain(name, server)) return this.#server(request, zone, server, cluster);
    if (question.type === RecordType.PTR) {
      const hosts = cluster.externalHosts(name);
      const target = zones[0] as string;
      if (hosts.length > 0)
        return this.#reply(
          hosts.map((host) =>
            this.#record(question.name, RecordType.PTR, { kind: "name", target: join(host, target) }),
          ),
        );
    }
    const { exists, targets } = cluster.external(name, zone, this.#options.headless);
    if (!exists && !cluster.ready()) return makeReply(this.name, { rcode: Rcode.SERVFAIL, uncached: true });
    if (!exists && fallsThrough(fallthrough, name)) return next(request);
    if (!exists) return this.#negative(zone, cluster, Rcode.NXDOMAIN);
    return this.#answer(request, targets) ?? this.#negative(zone, cluster);
  }

  #answer(request: Request, targets: readonly ExternalTarget[]): Reply | Promise<Reply> | undefined {
    const { question } = request;
    if (question.type === RecordType.SRV && targets.length > 0) return this.#srv(question.name, targets);
    if (question.type !== RecordType.A && question.type !== RecordType.AAAA) return undefined;
    const alias = targets.find((target): target is ExternalTarget & { at: string } => typeof target.at === "string");
    const addresses = this.#addresses(question.name, question.type, targets);
    if (addresses.length > 0) return this.#reply(addresses);
    const target = alias && tryParseName(alias.at);
    if (target === undefined) return undefined;
    const cname = this.#record(question.name, RecordType.CNAME, { kind: "name", target });
    return Promise.resolve(this.#options.instance.resolve(withQuestion(request, target, question.type))).then((found) =>
      withTarget(this.#reply([cname]), found),
    );
  }

  #srv(owner: string, targets: readonly ExternalTarget[]): Reply {
    const places = targets.flatMap(({ at, host, ports }) =>
      ports.map(({ port }) => ({ host: typeof at === "string" ? (tryParseName(at) ?? host) : host, port })),
    );
    const unique = [...new Map(places.map((place) => [`${place.port} ${place.host}`, place])).values()];
    const weight = Math.max(1, Math.floor(100 / unique.length));
    const records = unique.map(({ host, port }) =>
      this.#record(owner, RecordType.SRV, { kind: "srv", priority: 0, weight, port, target: host }),
    );
    const additionals = targets.flatMap((target) =>
      [RecordType.A, RecordType.AAAA].flatMap((type) => this.#addresses(target.host, type, [target])),
    );
    return this.#reply(records, additionals);
  }

  #addresses(owner: string, type: number, targets: readonly ExternalTarget[]): ResourceRecord[] {
    const ips = targets.flatMap(({ at }) => (typeof at === "string" ? [] : [at]));
    return this.#addressRecords(owner, type, [...new Map(ips.map((ip) => [formatIp(ip), ip])).values()]);
  }

  #addressRecords(owner: string, type: number, ips: readonly Ip[]): ResourceRecord[] {
    const family = type === RecordType.A ? 4 : 6;
    return ips
      .filter((ip) => ip.family === family)
      .map((ip) => this.#record(owner, type, { kind: "address", address: ip.bytes }));
  }

  #apex({ question }: Request, zone: string, cluster: KubernetesPlugin): Reply {
    if (question.type === RecordType.SOA) return this.#reply([this.#soa(zone, cluster)]);
    if (question.type !== RecordType.NS) return this.#negative(zone, cluster);
    const target = join(`ns1.${this.#options.apex}`, zone);
    const addresses = [RecordType.A, RecordType.AAAA].flatMap((type) =>
      this.#addressRecords(target, type, cluster.externalServers()),
    );
    return this.#reply([this.#record(question.name, RecordType.NS, { kind: "name", target })], addresses);
  }

  /** The name server's name, and `APEX.ZONE` above it, which has no records. */
  #server({ question, name }: Request, zone: string, server: string, cluster: KubernetesPlugin): Reply {
    if (name === server) return this.#negative(zone, cluster);
    if (name !== `ns1.${server}`) return this.#negative(zone, cluster, Rcode.NXDOMAIN);
    const isAddress = question.type === RecordType.A || question.type === RecordType.AAAA;
    const answers = isAddress ? this.#addressRecords(question.name, question.type, cluster.externalServers()) : [];
    return answers.length > 0 ? this.#reply(answers) : this.#negative(zone, cluster);
  }

  #soa(zone: string, cluster: KubernetesPlugin): ResourceRecord {
    const { apex, ttl } = this.#options;
    return this.#record(zone, RecordType.SOA, {
      kind: "soa",
      mname: join(`ns1.${apex}`, zone),
      rname: join(`hostmaster.${apex}`, zone),
      serial: cluster.serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttl,
    });
  }

  #record(name: string, type: number, data: RecordData): ResourceRecord {
    return { name, type, class: RecordClass.IN, ttl: this.#options.ttl, data };
  }

  #negative(zone: string, cluster: KubernetesPlugin, rcode: number = Rcode.NOERROR): Reply {
    return makeReply(this.name, {
      rcode,
      authoritative: true,
      uncached: true,
      authorities: [this.#soa(zone, cluster)],
    });
  }

  #reply(answers: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []): Reply {
    return makeReply(this.name, { authoritative: true, uncached: true, answers, additionals });
  }
}

/** A name below a zone. */
function join(name: string, zone: string): string {
  return zone === "." ? `${name}.` : `${name}.${zone}`;
}
