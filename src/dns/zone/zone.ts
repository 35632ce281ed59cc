import {
  isSubdomain,
  labelsOf,
  lowerName,
  parentName,
  Rcode,
  RecordType,
  type ResourceRecord,
  tryParseName,
} from "#wire/dns/index.ts";

/** What a zone says to a question. */
export interface ZoneAnswer {
  readonly rcode: number;
  /** False for a delegation: the answer is somewhere else. */
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** Name behind the last CNAME that this zone cannot follow. */
  readonly outside?: string;
}

/** Records of one name, by type. */
type Node = ReadonlyMap<number, readonly ResourceRecord[]>;

/** Longest chain of aliases that is followed within a zone. */
const maxAliases = 8;

/** A zone that cannot be served. */
export class ZoneError extends Error {}

/** Types that belong to a signed zone, whose denials and answers would need signatures. */
const signedTypes: ReadonlySet<number> = new Set([RecordType.RRSIG, RecordType.NSEC, RecordType.NSEC3]);

/** Looks questions up in the records of one zone, as RFC 1034 §4.3.2, 4592 (wildcards) and 6672 (DNAME) say. */
export class Zone {
  /** Absolute, lower case. */
  readonly origin: string;
  readonly soa: ResourceRecord;
  readonly #nodes: ReadonlyMap<string, Node>;
  /** Every name that exists, those between without records of their own included (RFC 4592 §2.2.2). */
  readonly #names: ReadonlySet<string>;
  /** How many records lie outside of the zone and are not served. */
  readonly outOfZone: number;

  /**
   * @param file for messages
   * @throws ZoneError without an SOA record at the origin, or for a signed zone
   */
  constructor(origin: string, records: readonly ResourceRecord[], file: string) {
    this.origin = origin;
    const nodes = new Map<string, Map<number, ResourceRecord[]>>();
    const names = new Set<string>([origin]);
    let outside = 0;
    for (const record of records) {
      if (signedTypes.has(record.type))
        throw new ZoneError(`file ${JSON.stringify(file)} is a signed zone, which is not served`);
      const name = lowerName(record.name);
      if (!isSubdomain(name, origin)) {
        outside++;
        continue;
      }
      addRecord(nodes, name, record);
      for (let above = name; !names.has(above); above = parentName(above)) names.add(above);
    }
    const [soa] = nodes.get(origin)?.get(RecordType.SOA) ?? [];
    if (!soa) throw new ZoneError(`file ${JSON.stringify(file)} has no SOA record for origin ${origin}`);
    this.soa = soa;
    this.#nodes = nodes;
    this.#names = names;
    this.outOfZone = outside;
  }

  /** The zone's version. */
  get serial(): number {
    return this.soa.data.kind === "soa" ? this.soa.data.serial : 0;
  }

  /**
   * @param owner the name as asked, in the zone, which the records bear
   * @param dnssecOk the client takes DNSSEC records (a delegation's DS)
   */
  lookup(owner: string, type: number, dnssecOk = false): ZoneAnswer {
    const chain: ResourceRecord[] = [];
    let name = lowerName(owner);
    let shown = owner;
    const seen = new Set([name]);
    for (let hops = 0; ; hops++) {
      const found = this.#one(shown, name, type, dnssecOk);
      if (found.alias === undefined || type === RecordType.CNAME) return joined(chain, found.answer);
      chain.push(...found.answer.answers);
      const target = found.alias;
      const lower = lowerName(target);
      if (seen.has(lower) || hops >= maxAliases) return this.#positive(chain);
      if (!isSubdomain(lower, this.origin)) return { ...this.#positive(chain), outside: target };
      seen.add(lower);
      shown = target;
      name = lower;
    }
  }

  /** One step: the answer for a name, with the name that it is an alias of. */
  #one(
    owner: string,
    name: string,
    type: number,
    dnssecOk: boolean,
  ): { readonly answer: ZoneAnswer; readonly alias?: string } {
    const cut = this.#cutAbove(name, type);
    if (cut) return { answer: this.#delegation(cut, dnssecOk) };
    const dname = this.#dnameAbove(name);
    if (dname) return this.#substituted(owner, name, dname);
    const node = this.#nodes.get(name) ?? this.#wildcard(name);
    if (node) return this.#fromNode(owner, type, node);
    return { answer: this.#negative(this.#names.has(name) ? Rcode.NOERROR : Rcode.NXDOMAIN) };
  }

  #fromNode(owner: string, type: number, node: Node): { readonly answer: ZoneAnswer; readonly alias?: string } {
    const [alias] = node.get(RecordType.CNAME) ?? [];
    if (alias?.data.kind === "name" && type !== RecordType.ANY) {
      return { answer: this.#positive([{ ...alias, name: owner }]), alias: alias.data.target };
    }
    const records = type === RecordType.ANY ? [...node.values()].flat() : (node.get(type) ?? []);
    if (records.length === 0) return { answer: this.#negative(Rcode.NOERROR) };
    return { answer: this.#positive(records.map((record) => ({ ...record, name: owner }))) };
  }

  /** The highest name between origin and `name` that is delegated; a DS record is the parent's even at the cut. */
  #cutAbove(name: string, type: number): readonly ResourceRecord[] | undefined {
    let cut: readonly ResourceRecord[] | undefined;
    for (let at = name; at !== this.origin; at = parentName(at)) {
      if (at === name && type === RecordType.DS) continue;
      cut = this.#nodes.get(at)?.get(RecordType.NS) ?? cut;
    }
    return cut;
  }

  /** The DNAME record of the lowest name above `name`. */
  #dnameAbove(name: string): ResourceRecord | undefined {
    for (let at = name; at !== this.origin; ) {
      at = parentName(at);
      const [record] = this.#nodes.get(at)?.get(RecordType.DNAME) ?? [];
      if (record) return record;
    }
    return undefined;
  }

  /** A DNAME with the CNAME that it makes for this name (RFC 6672 §3.1). */
  #substituted(
    owner: string,
    name: string,
    dname: ResourceRecord,
  ): { readonly answer: ZoneAnswer; readonly alias?: string } {
    const target = dname.data.kind === "name" ? dname.data.target : ".";
    const below = labelsOf(owner).slice(0, labelsOf(name).length - labelsOf(lowerName(dname.name)).length);
    const alias = tryParseName(`${below.join(".")}.${target === "." ? "" : target}`);
    // §2.2: a name that grows too long is an error of its own.
    if (alias === undefined) return { answer: { ...this.#positive([dname]), rcode: Rcode.YXDOMAIN } };
    const cname: ResourceRecord = {
      ...dname,
      name: owner,
      type: RecordType.CNAME,
      data: { kind: "name", target: alias },
    };
    return { answer: this.#positive([dname, cname]), alias };
  }

  /** The wildcard below the closest name that exists; a name that exists itself has none (RFC 4592 §3.3.1). */
  #wildcard(name: string): Node | undefined {
    if (this.#names.has(name)) return undefined;
    let encloser = parentName(name);
    while (!this.#names.has(encloser)) encloser = parentName(encloser);
    return this.#nodes.get(encloser === "." ? "*." : `*.${encloser}`);
  }

  #delegation(servers: readonly ResourceRecord[], dnssecOk: boolean): ZoneAnswer {
    const at = this.#nodes.get(lowerName(servers[0]?.name ?? "."));
    const signers = dnssecOk ? (at?.get(RecordType.DS) ?? []) : [];
    return {
      rcode: Rcode.NOERROR,
      authoritative: false,
      answers: [],
      authorities: [...servers, ...signers],
      additionals: this.#addressesOf(servers),
    };
  }

  #positive(answers: readonly ResourceRecord[]): ZoneAnswer {
    const servers = this.#nodes.get(this.origin)?.get(RecordType.NS) ?? [];
    const told = answers.some((record) => record.type === RecordType.NS && lowerName(record.name) === this.origin);
    return {
      rcode: Rcode.NOERROR,
      authoritative: true,
      answers,
      authorities: told ? [] : servers,
      additionals: this.#addressesOf(answers),
    };
  }

  /** RFC 2308 §3: the SOA's TTL is no longer than denials may be kept. */
  #negative(rcode: number): ZoneAnswer {
    const minimum = this.soa.data.kind === "soa" ? this.soa.data.minimum : this.soa.ttl;
    const soa = { ...this.soa, ttl: Math.min(this.soa.ttl, minimum) };
    return { rcode, authoritative: true, answers: [], authorities: [soa], additionals: [] };
  }

  /** Addresses in the zone, glue below cuts included, of the hosts that NS, MX and SRV records name. */
  #addressesOf(records: readonly ResourceRecord[]): ResourceRecord[] {
    const hosts = new Set(
      records.flatMap(({ data, type }) => {
        if (data.kind === "mx") return [lowerName(data.exchange)];
        if (data.kind === "srv" || (data.kind === "name" && type === RecordType.NS)) return [lowerName(data.target)];
        return [];
      }),
    );
    return [...hosts].flatMap((host) => {
      const node = this.#nodes.get(host);
      return [...(node?.get(RecordType.A) ?? []), ...(node?.get(RecordType.AAAA) ?? [])];
    });
  }
}

/** Aliases that led to an answer stand before it; the rcode is that of the last name (RFC 6604 §3). */
function joined(chain: readonly ResourceRecord[], answer: ZoneAnswer): ZoneAnswer {
  if (chain.length === 0) return answer;
  return { ...answer, authoritative: true, answers: [...chain, ...answer.answers] };
}

function addRecord(nodes: Map<string, Map<number, ResourceRecord[]>>, name: string, record: ResourceRecord): void {
  const node = nodes.get(name) ?? new Map<number, ResourceRecord[]>();
  nodes.set(name, node);
  const records = node.get(record.type);
  if (!records) node.set(record.type, [record]);
  // One SOA, CNAME or DNAME to a name: the first one counts.
  else if (![RecordType.SOA, RecordType.CNAME, RecordType.DNAME].some((single) => single === record.type)) {
    records.push(record);
  }
}
