import { type Ip, tryParseIp } from "#base/ip.ts";
import { isSubdomain, Rcode, RecordType } from "#wire/dns/index.ts";
import {
  type AnswerSink,
  type Fallthrough,
  fallsThrough,
  type Handler,
  type Instance,
  longestZone,
  type Metadata,
  makeReply,
  type Plugin,
  type Reply,
  type Request,
  withQuestion,
  withTarget,
} from "../../core/index.ts";
import type { ClusterIndex } from "./clusterIndex.ts";
import { type External, externalHosts, externalServers, externalTargets } from "./external.ts";
import { clientMetadata, nameMetadata } from "./metadata.ts";
import { type Answer, ClusterRecords, isReverseZone } from "./model.ts";
import type { RecordOptions } from "./options.ts";
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
  /** What the source watches and where: plugins with the same can share one. Absent: none can. */
  readonly sourceKey?: string;
  readonly instance: Instance;
  readonly options: RecordOptions;
  /** This server's own addresses. */
  readonly own: readonly Ip[];
  /** Search domains of this server's own resolv.conf, which a pod's list ends with. */
  readonly search: readonly string[];
}

/** Answers names of the cluster from its objects. */
export class KubernetesPlugin implements Plugin {
  readonly name = "kubernetes";
  #parts: KubernetesParts;
  /** One for each port. */
  readonly #publishers = new Set<ClusterPublisher>();

  constructor(parts: KubernetesParts) {
    this.#parts = parts;
  }

  /** The watches go on with all that they know: the API may be away just now. */
  takeUp(former: readonly Plugin[]): void {
    const key = this.#parts.sourceKey;
    for (const plugin of former) {
      if (key === undefined || !(plugin instanceof KubernetesPlugin) || plugin.#parts.sourceKey !== key) continue;
      const { index, source } = plugin.#parts;
      const { options, own } = this.#parts;
      this.#parts = { ...this.#parts, index, source, records: new ClusterRecords(index, options, own) };
      return;
    }
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
    this.#publishers.add(publisher);
    return () => {
      publisher.stop();
      this.#publishers.delete(publisher);
    };
  }

  async settled(): Promise<void> {
    await this.#parts.source.settled();
  }

  async stop(): Promise<void> {
    await this.#parts.source.stop();
  }

  /** The search list of the pod that asks, as its kubelet wrote it; known with pods verified. */
  searchPath(request: Request): readonly string[] | undefined {
    const { zones, options, index, search } = this.#parts;
    const zone = longestZone(zones, request.name);
    const client = tryParseIp(request.peer.address.split("%")[0] as string);
    if (zone === undefined || options.podMode !== "verified" || !client) return undefined;
    const pod = index.podAt(client);
    if (!pod) return undefined;
    const below = zone === "." ? "" : zone;
    return [`${pod.namespace}.svc.${below}`, `svc.${below}`, zone, ...search];
  }

  metadata(request: Request): Metadata {
    const { zones, index } = this.#parts;
    const zone = longestZone(zones, request.name);
    const client = tryParseIp(request.peer.address.split("%")[0] as string);
    return new Map([...clientMetadata(index, client), ...(zone === undefined ? [] : nameMetadata(request.name, zone))]);
  }

  /** What a name below a zone of k8s_external leads to. */
  external(name: string, zone: string, headless: boolean): External {
    return externalTargets(this.#parts.index, this.#parts.options, name, zone, headless);
  }

  /** `SERVICE.NAMESPACE` of the Services with the external address of a reverse name. */
  externalHosts(name: string): string[] {
    return externalHosts(this.#parts.index, this.#parts.options, name);
  }

  /** Addresses that this server has outside of the cluster. */
  externalServers(): readonly Ip[] {
    return externalServers(this.#parts.index, this.#parts.own);
  }

  /** Seconds since 1970 of the last change. */
  get serial(): number {
    return this.#parts.source.serial;
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const { zones, records, fallthrough, source } = this.#parts;
    const zone = longestZone(zones, request.name);
    if (zone === undefined) return next(request);
    const { name, question } = request;
    const answer = records.lookup(question.name, name, zone, question.type);
    if (answer.kind === "alias") return this.#follow(request, answer);
    if (answer.kind === "records") {
      if (question.type === RecordType.SRV || question.type === RecordType.PTR)
        for (const publisher of this.#publishers) publisher.want({ name, zone, type: question.type });
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
    return withTarget(this.#reply({ answers: [record] }), found);
  }
}
