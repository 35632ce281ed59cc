import {
  DnsError,
  decodeHeader,
  decodeMessage,
  type Edns,
  encodeMessage,
  encodeTruncated,
  headerBytes,
  lowerName,
  type Message,
  maxMessageBytes,
  Opcode,
  parentName,
  Rcode,
  RecordClass,
} from "#wire/dns/index.ts";
import type { Handler, Plugin } from "./plugin.ts";
import { makeReply, type Peer, type Reply, type Request } from "./request.ts";

/** A server block at work: its zones and its plugins, bound to one handler. */
export interface Site {
  readonly zones: readonly string[];
  readonly plugins: readonly Plugin[];
  readonly handler: Handler;
  /** Queries of other classes than Internet are answered too (chaos, forward), and not refused. */
  readonly anyClass?: boolean;
}

/**
 * Bounds of UDP answers: every client takes the smaller (RFC 1035 §4.2.1); none gets more than the larger, whatever it
 * offers, since a spoofed sender must not gain by it.
 */
export const udpBytes = { smallest: 512, largest: 4096 } as const;

/** Answers that are known in advance (see hot/). */
export interface ReadyAnswers {
  /** The plugins' answer to a packet, without them; undefined when they have to be asked. */
  answer(packet: Uint8Array, peer: Peer): Uint8Array | undefined;
  /**
   * The same, written to memory from a place on, with room for a message of any size. Returns its length; 0: the
   * plugins have to be asked, and the memory may have changed.
   */
  write(packet: Uint8Array, peer: Peer, to: Uint8Array, at: number): number;
}

/** What we offer in our own OPT: fits every path without fragments (DNS flag day 2020). */
export const ednsUdpBytes = 1232;

/**
 * Turns packets into answers: decodes, finds the server block by the longest matching zone, runs its plugins,
 * encodes within what the client takes. It knows no sockets, so that any transport can drive it.
 */
export class Answerer {
  readonly #server: string;
  readonly #now: () => number;
  readonly #ready: ReadyAnswers | undefined;
  #sites: readonly Site[];
  /** Site by zone; rebuilt with the sites. */
  #byZone = new Map<string, Site>();

  /** @param server name of the listener, such as `dns://:53`; `now` milliseconds, monotonic */
  constructor(server: string, sites: readonly Site[], now: () => number, ready?: ReadyAnswers) {
    this.#server = server;
    this.#ready = ready;
    this.#now = now;
    this.#sites = sites;
    this.use(sites);
  }

  /** Changes over to other sites: requests under way end on the old ones. */
  use(sites: readonly Site[]): void {
    this.#sites = sites;
    this.#byZone = new Map(sites.flatMap((site) => site.zones.map((zone) => [zone, site])));
  }

  get sites(): readonly Site[] {
    return this.#sites;
  }

  /** The answer, if it is known in advance, as ReadyAnswers.write; 0 when it is not. */
  ready(packet: Uint8Array, peer: Peer, to: Uint8Array, at: number): number {
    return this.#ready?.write(packet, peer, to, at) ?? 0;
  }

  /** The bytes to send back; undefined when nothing shall be sent. Never rejects. */
  answer(packet: Uint8Array, peer: Peer): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const ready = this.#ready?.answer(packet, peer);
    if (ready) return ready;
    const begin = this.#now();
    let message: Message;
    try {
      message = decodeMessage(packet);
    } catch {
      return malformed(packet);
    }
    if (message.response) return undefined; // answering answers would make two servers talk for ever
    const refusal = unanswerable(message);
    // With several questions, or none, there is none to repeat.
    if (refusal === Rcode.FORMERR) return headerOnly(packet, refusal);
    if (refusal !== undefined) return encode(message, makeReply("", { rcode: refusal }), peer);
    const question = message.questions[0] as NonNullable<(typeof message.questions)[0]>;
    const name = lowerName(question.name);
    const found = this.#siteOf(name);
    if (!found || (question.class !== RecordClass.IN && !found.site.anyClass)) {
      return encode(message, makeReply("", { rcode: Rcode.REFUSED }), peer);
    }
    const request: Request = { message, question, name, peer, server: this.#server, zone: found.zone };
    return this.#serve(found.site, request, packet.length, begin);
  }

  /** Asks the plugins of the fitting site for a request made inside the server. */
  resolve(request: Request): Reply | Promise<Reply> {
    const found = this.#siteOf(request.name);
    return found ? found.site.handler({ ...request, zone: found.zone }) : makeReply("", { rcode: Rcode.REFUSED });
  }

  /** The site of the longest zone that the name (lower case) lies in. */
  #siteOf(name: string): { readonly zone: string; readonly site: Site } | undefined {
    for (let zone = name; ; zone = parentName(zone)) {
      const site = this.#byZone.get(zone);
      if (site) return { zone, site };
      if (zone === ".") return undefined;
    }
  }

  #serve(
    site: Site,
    request: Request,
    size: number,
    begin: number,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const finish = (reply: Reply): Uint8Array | undefined => {
      const bytes = reply.drop ? undefined : encode(request.message, reply, request.peer);
      const seconds = (this.#now() - begin) / 1000;
      for (const plugin of site.plugins) {
        plugin.answered?.(request, reply, { requestBytes: size, responseBytes: bytes?.length ?? 0, seconds });
      }
      return bytes;
    };
    const fail = (error: unknown): Uint8Array | undefined => {
      for (const plugin of site.plugins) plugin.failed?.(request, error);
      return finish(makeReply("", { rcode: Rcode.SERVFAIL }));
    };
    try {
      const reply = site.handler(request);
      return reply instanceof Promise ? reply.then(finish).catch(fail) : finish(reply);
    } catch (error) {
      return fail(error);
    }
  }
}

/** FORMERR with the sender's id, or nothing when there is not even a header or it is an answer. */
function malformed(packet: Uint8Array): Uint8Array | undefined {
  if (packet.length < headerBytes || decodeHeader(packet).response) return undefined;
  return headerOnly(packet, Rcode.FORMERR);
}

/** An answer that is nothing but a header. */
function headerOnly(packet: Uint8Array, rcode: number): Uint8Array {
  const empty = { questions: [], answers: [], authorities: [], additionals: [] };
  return encodeMessage({
    ...decodeHeader(packet),
    ...empty,
    response: true,
    authoritative: false,
    truncated: false,
    recursionAvailable: false,
    authenticData: false,
    rcode,
  });
}

/** The rcode for a query that no plugin can answer; undefined when one can. */
function unanswerable(message: Message): number | undefined {
  if (message.questions.length !== 1) return Rcode.FORMERR;
  if (message.opcode !== Opcode.QUERY) return Rcode.NOTIMP;
  if (message.edns && message.edns.version !== 0) return Rcode.BADVERS; // RFC 6891 §6.1.3
  return undefined;
}

function encode(query: Message, reply: Reply, peer: Peer): Uint8Array | undefined {
  const limit =
    peer.protocol === "tcp" ? maxMessageBytes : Math.min(udpLimit(query.edns), reply.maxUdpBytes ?? udpBytes.largest);
  const edns: Edns | undefined = query.edns && {
    udpSize: ednsUdpBytes,
    version: 0,
    dnssecOk: query.edns.dnssecOk,
    options: reply.options ?? [],
  };
  const answer: Message = {
    id: query.id,
    response: true,
    opcode: query.opcode,
    authoritative: reply.authoritative,
    truncated: reply.truncated,
    recursionDesired: reply.recursionDesired ?? query.recursionDesired,
    recursionAvailable: reply.recursionAvailable,
    authenticData: reply.authenticData,
    checkingDisabled: query.checkingDisabled,
    rcode: reply.rcode,
    questions: query.questions,
    answers: reply.answers,
    authorities: reply.authorities,
    additionals: reply.additionals,
    ...(edns && { edns }),
  };
  try {
    return encodeTruncated(answer, limit);
  } catch (error) {
    if (!(error instanceof DnsError) || reply.rcode === Rcode.SERVFAIL) throw error;
    return encode(query, makeReply(reply.plugin, { rcode: Rcode.SERVFAIL }), peer);
  }
}

function udpLimit(edns: Edns | undefined): number {
  return Math.min(Math.max(edns?.udpSize ?? 0, udpBytes.smallest), udpBytes.largest);
}
