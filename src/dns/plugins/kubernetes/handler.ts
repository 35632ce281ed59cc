import { isSubdomain, Rcode, RecordType } from "#wire/dns/index.ts";
import {
  type AnswerSink,
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
} from "../../core/index.ts";
import type { ClusterIndex } from "./clusterIndex.ts";
import { type Answer, type ClusterRecords, isReverseZone } from "./model.ts";
import { ClusterPublisher } from "./publisher.ts";
import type { ClusterSource } from "./source.ts";

/** Longest chain of ExternalName Services that point at each other. */
const maxAliases = 8;

/** What a KubernetesPlugin is made of. */
export interface KubernetesParts {
  readonly zones: readonly string[];
  readonly fallthrough: Fallthrough;
  readonly index: ClusterIndex;
  readonly records: ClusterRecords;
  readonly source: ClusterSource;
  readonly instance: Instance;
}

/** Answers names of the cluster from its objects. */
export class KubernetesPlugin implements Plugin {
  readonly name = "kubernetes";
  readonly #parts: KubernetesParts;

  constructor(parts: KubernetesParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    await this.#parts.source.start();
  }

  ready(): boolean {
    return this.#parts.source.synced;
  }

  troubles(): readonly string[] {
    return this.#parts.source.troubles();
  }

  publish(sink: AnswerSink): () => void {
    const { zones, fallthrough, index, records, source } = this.#parts;
    const publisher = new ClusterPublisher(
      {
        zones: zones.filter((zone) => !isReverseZone(zone)),
        index,
        records,
        source,
        fallsThrough: (zone) => fallthrough.zones.some((one) => isSubdomain(zone, one) || isSubdomain(one, zone)),
      },
      sink,
    );
    return () => publisher.stop();
  }

  async settled(): Promise<void> {
    await this.#parts.source.settled();
  }

  async stop(): Promise<void> {
    await this.#parts.source.stop();
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { zones, records, fallthrough, source } = this.#parts;
    const zone = longestZone(zones, request.name);
    if (zone === undefined) return next(request);
    const { name, question } = request;
    const answer = records.lookup(question.name, name, zone, question.type);
    if (answer.kind === "alias") return this.#follow(request, answer);
    if (answer.kind === "records") {
      const answers = question.type === RecordType.SOA ? [records.soa(question.name, source.serial)] : answer.records;
      return this.#reply({ answers, additionals: answer.additionals ?? [] });
    }
    if (answer.kind === "nxdomain") {
      // What is not there before the first state is complete may only be unknown.
      if (!source.synced) return makeReply(this.name, { rcode: Rcode.SERVFAIL, uncached: true });
      if (fallsThrough(fallthrough, name)) return next(request);
    }
    const rcode = answer.kind === "nxdomain" ? Rcode.NXDOMAIN : Rcode.NOERROR;
    return this.#reply({
      rcode,
      authorities: [records.soa(zone, source.serial)],
    });
  }

  #reply(parts: Partial<Reply>): Reply {
    return makeReply(this.name, {
      authoritative: true,
      uncached: true,
      ...parts,
    });
  }

  /** The CNAME of an ExternalName Service, with the target's records as this server itself resolves them. */
  async #follow(request: Request, { record, target }: Answer & { kind: "alias" }): Promise<Reply> {
    const { type } = request.question;
    const followed = type === RecordType.A || type === RecordType.AAAA;
    if (!followed || (request.depth ?? 0) >= maxAliases) return this.#reply({ answers: [record] });
    const found = await this.#parts.instance.resolve(withQuestion(request, target, type));
    return this.#reply({
      answers: [record, ...found.answers],
      rcode: Rcode.NOERROR,
    });
  }
}
