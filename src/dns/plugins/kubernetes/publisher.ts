import type { Ip } from "#base/ip.ts";
import { addressOfReverseName, RecordType } from "#wire/dns/index.ts";
import { type AnswerSink, type FixedAnswer, makeReply } from "../../core/index.ts";
import type { ClusterIndex, ServiceEntry } from "./clusterIndex.ts";
import type { Answer, ClusterRecords } from "./model.ts";
import { parseClusterName } from "./names.ts";
import type { ClusterSource } from "./source.ts";

/** A question that is answered with records; name and zone in lower case. */
export interface Question {
  readonly name: string;
  readonly zone: string;
  readonly type: number;
}

/** What a publisher reads from. */
export interface PublisherParts {
  /** Zones with names of Services, not reverse ones. */
  readonly zones: readonly string[];
  readonly index: ClusterIndex;
  readonly records: ClusterRecords;
  readonly source: Pick<ClusterSource, "synced" | "serial" | "settled">;
  /** Whether denials of a zone go on to another plugin, so that not all can be published. */
  readonly fallsThrough: (zone: string) => boolean;
}

/**
 * Names beside `svc` right below a zone that the plugin answers itself. The last one is no name of a cluster; but the
 * zone's SOA record holds it, and so its denial would be written with other pointers than those of other names.
 */
const openAreas = ["pod", "dns", "dns-version", "hostmaster"];
/** What is published beside the usual: so many answers of one Service, and of all. */
const maxWantedOfService = 16;
const maxWanted = 20_000;
/** Time in one turn of the event loop, in milliseconds: queries are answered between two turns. */
const turnMs = 50;

/**
 * Publishes the answers of a cluster, Service by Service, as the index changes: addresses, the endpoints and SRV records
 * of headless Services, and which names there are, so that all others can be denied. SRV records of other Services, and
 * PTR records, are hardly ever asked for, and their encoding would be half of the time that a start takes: they are
 * published from the first question for them on. A change marks its Service; one pass in the event loop's next turn
 * publishes what is marked.
 */
export class ClusterPublisher {
  readonly #parts: PublisherParts;
  readonly #sink: AnswerSink;
  readonly #services: Set<string>;
  readonly #namespaces: Set<string>;
  /** Namespaces published while Services of theirs were not: other names below them are not denied. */
  #open: ReadonlySet<string> = new Set();
  /** What was asked for beside that, by Service and by question, and how many questions. */
  readonly #wanted = new Map<string, Map<string, Question>>();
  #wantedCount = 0;
  readonly #endListening: () => void;
  #scheduled: NodeJS.Immediate | undefined;
  #stopped = false;
  #serial = -1;
  /** Whether all that is in the index has been published since the first state was complete. */
  #complete = false;

  constructor(parts: PublisherParts, sink: AnswerSink) {
    this.#parts = parts;
    this.#sink = sink;
    this.#services = new Set(parts.index.serviceKeys());
    this.#namespaces = new Set([...parts.index.namespaceNames(), ...[...this.#services].map(namespaceOf)]);
    this.#endListening = parts.index.listen({
      service: (key) => {
        this.#services.add(key);
        this.#namespaces.add(namespaceOf(key));
        this.#schedule();
      },
      namespace: (name) => {
        this.#namespaces.add(name);
        // Then it hides or shows its Services too.
        if (parts.records.labelledNamespaces)
          for (const key of parts.index.serviceKeysIn(name)) this.#services.add(key);
        this.#schedule();
      },
    });
    this.#schedule();
    // The first state may be complete without a change that would tell. It fails when the source was stopped.
    void parts.source.settled().then(
      () => this.#schedule(),
      () => {},
    );
  }

  /** A question of the type SRV or PTR was answered with records: the next time it shall be known. */
  want(question: Question): void {
    const key = this.#serviceOf(question);
    const text = `${question.name} ${question.type}`;
    const known = key === undefined ? undefined : (this.#wanted.get(key) ?? new Map<string, Question>());
    if (key === undefined || !known || known.has(text)) return;
    if (known.size >= maxWantedOfService || this.#wantedCount >= maxWanted) return;
    this.#wanted.set(key, known.set(text, question));
    this.#wantedCount++;
    this.#services.add(key);
    this.#schedule();
  }

  /** The Service whose changes can change the answer, if it is one alone. */
  #serviceOf({ name, zone, type }: Question): string | undefined {
    if (type === RecordType.PTR) {
      const address = addressOfReverseName(name);
      const service = address && this.#parts.index.serviceAt(address);
      return service && `${service.namespace}/${service.name}`;
    }
    const parsed = type === RecordType.SRV ? parseClusterName(name, zone) : undefined;
    return parsed?.kind === "service" ? `${parsed.namespace}/${parsed.service}` : undefined;
  }

  /** Ends publishing; what is published stays. */
  stop(): void {
    this.#endListening();
    clearImmediate(this.#scheduled);
    this.#stopped = true;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      this.#pass();
    });
  }

  #pass(): void {
    const end = performance.now() + turnMs;
    for (const key of this.#services) {
      if (performance.now() > end) break;
      this.#services.delete(key);
      this.#sink.put(`service/${key}`, this.#service(key));
    }
    this.#publishNamespaces();
    if (this.#services.size > 0) return this.#schedule();
    const { source } = this.#parts;
    if (source.synced) this.#publishApexes();
  }

  /** Names below a namespace are denied once all of its Services are published. */
  #publishNamespaces(): void {
    const unfinished = new Set([...this.#services].map(namespaceOf));
    for (const name of unfinished) if (!this.#open.has(name)) this.#namespaces.add(name);
    for (const name of this.#open) if (!unfinished.has(name)) this.#namespaces.add(name);
    for (const name of this.#namespaces)
      this.#sink.put(`namespace/${name}`, this.#namespace(name, !unfinished.has(name)));
    this.#namespaces.clear();
    this.#open = unfinished;
  }

  /** The zones' tops, with the SOA record of the present serial number; from the first time on, denials are given. */
  #publishApexes(): void {
    const { zones, records, source, fallsThrough } = this.#parts;
    if (this.#complete && this.#serial === source.serial) return;
    for (const zone of zones) {
      this.#sink.put(`zone/${zone}`, [
        ...openAreas.map((area) => ({ kind: "node", name: below(area, zone), closed: false }) as const),
        { kind: "node", name: below("svc", zone), closed: true },
        { kind: "apex", name: zone, soa: records.soa(zone, source.serial), closed: !fallsThrough(zone) },
      ]);
    }
    this.#complete = true;
    this.#serial = source.serial;
  }

  #namespace(name: string, closed: boolean): FixedAnswer[] {
    const { zones, index, records } = this.#parts;
    if (!isLabel(name) || !records.shows(name)) return [];
    if (!index.hasNamespace(name) && !index.hasServices(name)) return [];
    return zones.map((zone) => ({ kind: "node", name: below(`${name}.svc`, zone), closed }));
  }

  #service(key: string): FixedAnswer[] {
    const [namespace, name] = key.split("/") as [string, string];
    const service = this.#parts.index.service(namespace, name);
    if (!service || !isLabel(name) || !isLabel(namespace) || !this.#parts.records.shows(namespace)) {
      this.#wantedCount -= this.#wanted.get(key)?.size ?? 0;
      this.#wanted.delete(key);
      return [];
    }
    return [...this.#usual(namespace, name, service), ...this.#asked(key)];
  }

  /** What was asked for, as far as it is still this Service's. */
  #asked(key: string): FixedAnswer[] {
    const questions = [...(this.#wanted.get(key)?.values() ?? [])];
    return questions
      .filter((question) => this.#serviceOf(question) === key)
      .flatMap(({ name, zone, type }) => this.#known(name, zone, type));
  }

  #usual(namespace: string, name: string, service: ServiceEntry): FixedAnswer[] {
    const endpoints = service.kind === "headless" ? this.#endpoints(namespace, name) : [];
    const ports = new Set(
      (endpoints.length > 0 ? this.#slicePorts(namespace, name) : [])
        .filter((port) => isLabel(port.name) && isLabel(port.protocol))
        .map((port) => `_${port.name}._${port.protocol}`),
    );
    return this.#parts.zones.flatMap((zone) => {
      const base = below(`${name}.${namespace}.svc`, zone);
      return [
        { kind: "node", name: base, closed: false },
        ...[RecordType.A, RecordType.AAAA].flatMap((type) => this.#known(base, zone, type)),
        ...[...ports].flatMap((port) => this.#known(`${port}.${base}`, zone, RecordType.SRV)),
        ...endpoints.flatMap(([label, addresses]) => this.#endpoint(`${label}.${base}`, zone, addresses)),
      ] as const;
    });
  }

  /** Labels of a Service's endpoints with the addresses behind each. */
  #endpoints(namespace: string, name: string): (readonly [string, readonly Ip[]])[] {
    return [...this.#parts.records.endpoints(namespace, name)].filter(([label]) => isLabel(label));
  }

  #endpoint(name: string, zone: string, addresses: readonly Ip[]): FixedAnswer[] {
    if (!isPublishable(name)) return [];
    return [RecordType.A, RecordType.AAAA].map((type) => {
      const answer = this.#parts.records.addresses(name, type, addresses);
      return answer.kind === "records" ? fixed(name, type, answer) : { kind: "nodata", name, type, zone };
    });
  }

  #slicePorts(namespace: string, name: string) {
    return this.#parts.index.slices(namespace, name).flatMap(({ ports }) => ports);
  }

  /** What the model says to a question; nothing for what has to be looked up elsewhere, or might be denied. */
  #known(name: string, zone: string, type: number): FixedAnswer[] {
    if (!isPublishable(name)) return [];
    const answer = this.#parts.records.lookup(name, name, zone, type);
    if (answer.kind === "nodata") return [{ kind: "nodata", name, type, zone }];
    return answer.kind === "records" ? [fixed(name, type, answer)] : [];
  }
}

function fixed(name: string, type: number, answer: Answer & { kind: "records" }): FixedAnswer {
  const { records, additionals = [] } = answer;
  const addresses = records.flatMap(({ data }) => (data.kind === "address" ? [data.address] : []));
  if (addresses.length === records.length && additionals.length === 0)
    return { kind: "addresses", name, type, ttl: records[0]?.ttl ?? 0, addresses };
  return { kind: "reply", name, type, reply: makeReply("kubernetes", { answers: records, additionals }) };
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

function below(name: string, zone: string): string {
  return zone === "." ? `${name}.` : `${name}.${zone}`;
}

/** Whether a text in an object can be asked for as one label in lower case, without escapes. */
function isLabel(text: string): boolean {
  return text.length > 0 && text.length < 64 && /^[!-~]+$/.test(text) && !/[.\\A-Z]/.test(text);
}

/** Whether a name made of labels is not too long. */
function isPublishable(name: string): boolean {
  return name.length <= 254;
}
