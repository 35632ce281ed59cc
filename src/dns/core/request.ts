import {
  type EdnsOption,
  lowerName,
  type Message,
  type Question,
  Rcode,
  type ResourceRecord,
} from "#wire/dns/index.ts";

/** Who asked, and over what. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly protocol: "udp" | "tcp";
  /** So many queries of the port wait already that this one must not: who would have it wait drops it. */
  readonly busy?: boolean;
  /** This server's address that was asked, where the transport knows it. */
  readonly local?: string;
}

/** What plugins know about a request, by label such as `kubernetes/client-namespace`. Values are made when asked for. */
export type Metadata = ReadonlyMap<string, () => string>;

/** A query on its way through the plugins. */
export interface Request {
  readonly message: Message;
  /** As asked, case kept. */
  readonly question: Question;
  /** The question's name in lower case. */
  readonly name: string;
  readonly peer: Peer;
  /** The server that took it, such as `dns://:53`. */
  readonly server: string;
  /** Zone of the server block that it fell into. */
  readonly zone: string;
  /** How many aliases were followed to come here; absent for a client's own query. */
  readonly depth?: number;
  /** Absent without the plugin metadata. */
  readonly metadata?: Metadata;
}

/** What the plugins answer: everything of a message that the server cannot fill in by itself. */
export interface Reply {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  /** The upstream's answer was cut: the client shall ask by TCP. */
  readonly truncated: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** The plugin that made it, for metrics and logs. */
  readonly plugin: string;
  /** Made from memory and always current: keeping it in a cache would only make it stale. */
  readonly uncached?: boolean;
  /** No answer at all goes out (a plugin that drops). */
  readonly drop?: boolean;
  /** Refused because too many wait already: says nothing of the name. */
  readonly overloaded?: boolean;
  /** The rd flag, where it is not the query's (header). */
  readonly recursionDesired?: boolean;
  /** Options of the answer's OPT record; without one in the query there is none (nsid). */
  readonly options?: readonly EdnsOption[];
  /** Bytes that an answer over UDP has at most, below what the client takes (bufsize). */
  readonly maxUdpBytes?: number;
  /** The request's, for plugins that look at answers (log). */
  readonly metadata?: Metadata;
}

/** A reply with defaults for what is not given: NOERROR, not authoritative, empty sections. */
export function makeReply(plugin: string, parts: Partial<Reply> = {}): Reply {
  return {
    rcode: Rcode.NOERROR,
    authoritative: false,
    recursionAvailable: false,
    authenticData: false,
    truncated: false,
    answers: [],
    authorities: [],
    additionals: [],
    plugin,
    ...parts,
  };
}

/** The same request for another question, as when a CNAME's target is looked up. */
export function withQuestion(request: Request, name: string, type: number): Request {
  const question = { name, type, class: request.question.class };
  return { ...asking(request, question), depth: (request.depth ?? 0) + 1 };
}

/** The request with another question in the place of its own. */
export function asking(request: Request, question: Question): Request {
  const message = { ...request.message, questions: [question] };
  return { ...request, question, name: lowerName(question.name), message };
}

/**
 * A reply that ends in an alias, with what was found at its target. A query whose target could not be looked up for too
 * many waiting must not look like an alias without records: it is dropped with the lookup, or fails and is not kept.
 */
export function withTarget(reply: Reply, found: Reply): Reply {
  if (found.drop) return { ...reply, drop: true };
  if (found.overloaded) return { ...reply, rcode: Rcode.SERVFAIL, uncached: true, overloaded: true };
  return { ...reply, answers: [...reply.answers, ...found.answers] };
}

/** Changes a reply, now or when it is there. */
export function mapReply(reply: Reply | Promise<Reply>, change: (reply: Reply) => Reply): Reply | Promise<Reply> {
  return reply instanceof Promise ? reply.then(change) : change(reply);
}
