import type { Client } from "#api/index.ts";
import type { Ip } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { ResourceRecord } from "#wire/dns/index.ts";
import type { Directive, Environment } from "../corefile/index.ts";
import type { Metadata, Reply, Request } from "./request.ts";

/** Answers a request, at once or later. A rejection becomes SERVFAIL. */
export type Handler = (request: Request) => Reply | Promise<Reply>;

/**
 * An answer that is known before it is asked for, or what is known about a name. Names are absolute, in lower case.
 * * `addresses`: A or AAAA records of the name itself;
 * * `reply`: any other reply of the authoritative server to that question;
 * * `nodata`: the name exists without such records; `zone` has an apex;
 * * `node`: the name exists; `closed`: every name right below it is published as well;
 * * `apex`: a zone's top, with the SOA record of its denials. Names in that record lie in the zone, and the publisher has
 *   nodes, not closed, for what is right below the zone in them: compression points elsewhere in answers about those.
 */
export type FixedAnswer =
  | {
      readonly kind: "addresses";
      readonly name: string;
      readonly type: number;
      readonly ttl: number;
      readonly addresses: readonly Uint8Array[];
    }
  | { readonly kind: "reply"; readonly name: string; readonly type: number; readonly reply: Reply }
  | { readonly kind: "nodata"; readonly name: string; readonly type: number; readonly zone: string }
  | { readonly kind: "node"; readonly name: string; readonly closed: boolean }
  | { readonly kind: "apex"; readonly name: string; readonly soa: ResourceRecord; readonly closed: boolean };

/** An answer that a cache gives for a while, with this name (absolute, in lower case) and type of the class Internet. */
export interface CachedAnswer {
  readonly name: string;
  readonly type: number;
  /** The flags of the questions that it is for. */
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** Given with AA, and with the time that is left as the TTL of every record unless `keepTtl`. */
  readonly reply: Reply;
  readonly keepTtl: boolean;
  readonly kind: "success" | "denial";
  /** The end of its time; after how long the plugin has to see every query again, at most as long; ms from now on. */
  readonly leftMs: number;
  readonly freshMs: number;
  /** The plugin has to see the query that comes this long after the one before; 0: it does not matter. */
  readonly idleMs: number;
}

/** Where a plugin publishes answers for which no plugin has to be asked (the hot path). */
export interface AnswerSink {
  /** Replaces everything that the owner has published. */
  put(owner: string, answers: readonly FixedAnswer[]): void;
  /** Replaces the owner's answer; undefined takes it away. */
  keep(owner: string, answer: CachedAnswer | undefined): void;
  /** Milliseconds since the owner's answer with an idle time was given last, or kept; infinite when there is none. */
  sinceUse(owner: string): number;
}

/**
 * What a plugin means for answers that are given without it.
 * * `neutral`: it changes nothing in them, or is told of them by `answeredHot`;
 * * `shuffles`: it puts addresses in a random order.
 * A plugin that says nothing has to see every query.
 */
export type HotRole = "neutral" | "shuffles";

/** What the hot path has answered in one zone of a server block since it was last told. */
export interface HotAnswers {
  /** Name of the server, such as `dns://:53`. */
  readonly server: string;
  readonly zone: string;
  /** The plugin that published the answers. */
  readonly plugin: string;
  readonly protocol: "udp" | "tcp";
  /** `family`: 1 for IPv4, 2 for IPv6. */
  readonly requests: readonly { readonly family: number; readonly type: number; readonly times: number }[];
  readonly responses: readonly { readonly rcode: number; readonly times: number }[];
  /** By bytes on the wire. */
  readonly requestSizes: readonly { readonly bytes: number; readonly times: number }[];
  readonly responseSizes: readonly { readonly bytes: number; readonly times: number }[];
  /** Requests with the DO bit. */
  readonly dnssecOk: number;
  readonly total: number;
  /** Of a cache's answers: what they are. */
  readonly cached?: CachedAnswer["kind"];
  /** Seconds that one answer took, on the average. */
  readonly seconds: number;
}

/** One plugin of one server block, made from its directive. Every part but the name is optional. */
export interface Plugin {
  readonly name: string;
  /** Answers, or passes on to `next`. Absent: the plugin takes no part in answering. */
  handle?(request: Request, next: Handler): Reply | Promise<Reply>;
  /** Sees each answer after it was encoded (log, prometheus). */
  answered?(request: Request, reply: Reply, outcome: Outcome): void;
  /** Sees each failure that became SERVFAIL (errors). */
  failed?(request: Request, error: unknown): void;
  /** What it means for answers given without it; absent: none may be given. */
  readonly hot?: HotRole;
  /** UDP sockets of the block's ports, each with a thread of the hot path (multisocket). Absent: one. */
  readonly sockets?: number;
  /** Publishes answers and keeps them current. Returns what ends it. */
  publish?(sink: AnswerSink): () => void;
  /** Is told of answers given without it, once a second or when someone wants to know. */
  answeredHot?(answers: HotAnswers): void;
  /** What is wrong though it still answers, such as a connection that is broken; for people. */
  troubles?(): readonly string[];
  /** Opens what the plugin needs. Runs before the first request; rejects to stop the start or the reload. */
  start?(): Promise<void>;
  /** Runs once the listeners are open. */
  started?(): void;
  /** False while answers would be wrong or missing; the ready plugin reports it. Absent: always ready. */
  ready?(): boolean;
  /** Resolves when ready, for a reload that waits before it changes over. */
  settled?(): Promise<void>;
  /** The time to keep on serving after the wish to end (health's lameduck), in milliseconds. */
  readonly lameduckMs?: number;
  /** The server block takes queries of other classes than Internet (chaos, forward). */
  readonly anyClass?: true;
  /** Directory of the relative file names of the plugins behind it (root). */
  readonly directory?: string;
  /** Addresses that the server block is served at instead of all (bind). */
  readonly addresses?: readonly string[];
  /** Bounds of TCP connections (timeouts). */
  readonly tcpTimeouts?: TcpTimeouts;
  /** What it knows about a request, for the plugin metadata. */
  metadata?(request: Request): Metadata;
  /**
   * Domains, absolute, that the client's resolver will try for a short name, in its order (autopath). Undefined: not
   * known.
   */
  searchPath?(request: Request): readonly string[] | undefined;
  /**
   * Takes up what plugins of the former configuration hold and this one needs just as well (a watch and its state), after
   * a reload and before start. Theirs is stopped later, and must not end what was taken up.
   */
  takeUp?(former: readonly Plugin[]): void;
  /** Closes what start opened. */
  stop?(): Promise<void>;
}

/** Times of a TCP connection, milliseconds. */
export interface TcpTimeouts {
  /** From the first byte of a query to its last. */
  readonly readMs?: number;
  /** For the client to take an answer. */
  readonly writeMs?: number;
  /** On which nothing moves. */
  readonly idleMs?: number;
}

/** How a request went. */
export interface Outcome {
  /** Size of the query and of the answer on the wire. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** From the packet's arrival to the encoded answer. */
  readonly seconds: number;
}

/** HTTP endpoints shared by all plugins: two paths on one address are one listener. */
export interface HttpEndpoints {
  /**
   * Serves GET of `path` on `address` (`host:port`, host may be empty). A later one for the same path takes over, so
   * that a reloaded configuration keeps its port. Returns the removal.
   */
  serve(address: string, path: string, handler: () => HttpAnswer): Promise<() => Promise<void>>;
}

/** The answer of an HTTP endpoint. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
}

/** A port that DNS is served on. */
export interface Listening {
  /** The server's name, such as `dns://:53`. */
  readonly server: string;
  /** "" for all addresses. */
  readonly address: string;
  /** The kernel's choice where the Corefile says 0. */
  readonly port: number;
}

/** What all plugins of a running configuration share. */
export interface Instance {
  readonly metrics: Metrics;
  readonly http: HttpEndpoints;
  /** Asks the server itself, as a client's query of that name would be answered. */
  resolve(request: Request): Reply | Promise<Reply>;
  /** Names of plugins that are not ready. */
  notReady(): string[];
  /** What plugins say is wrong with them. */
  troubles(): string[];
  /** Text of the Corefile in use, and behind it those of the files that it imports. */
  readonly corefileText: string;
  /** Reads them again. */
  readCorefile(): Promise<string>;
  /** Changes over to the Corefile's present content; rejects and keeps the old one when it is not valid. */
  reload(): Promise<void>;
  /** Ends the program with an error. */
  fatal(message: string): void;
  /** Reaches the cluster's API where a directive does not say how. Absent: as a pod does. */
  readonly connectApi?: () => Promise<Client>;
  /** The server's own addresses. Absent: those of this machine's interfaces. */
  readonly addresses?: readonly Ip[];
  /** Ports that DNS is served on, known once listeners are open. */
  listening(): readonly Listening[];
}

/** What a plugin's setup gets beside its directive. */
export interface SetupContext {
  readonly log: Logger;
  /** Zones of the server block, lower case. */
  readonly zones: readonly string[];
  /** The server's name, such as `dns://:53`. */
  readonly server: string;
  /** Directory that file names are relative to. */
  readonly directory: string;
  /** A file that a directive names, by its absolute path. Throws when it cannot be read, as Node does. */
  readText(path: string): string;
  /** Directory of the Corefile. */
  readonly corefileDirectory: string;
  /** Names of the servers that the block is part of, one for each address; known once all its plugins are set up. */
  servers(): readonly string[];
  readonly environment: Environment;
  readonly instance: Instance;
  /** All plugins of the server block; complete once they are set up. */
  siblings(): readonly Plugin[];
  /** Milliseconds, monotonic. */
  now(): number;
}

/** The name of the server at an address ("": all) and port: `dns://:53`, `dns://[::1]:53`. */
export function serverName(address: string, port: number): string {
  return `dns://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** Makes a plugin from its directive; throws CorefileError for one that is wrong. */
export type Setup = (directive: Directive, context: SetupContext) => Plugin;

/** Binds plugins to one handler: the first in the list is asked first, `last` when all pass on. */
export function chain(plugins: readonly Plugin[], last: Handler): Handler {
  return plugins
    .filter((plugin) => plugin.handle !== undefined)
    .reduceRight<Handler>((next, plugin) => (request) => plugin.handle?.(request, next) ?? next(request), last);
}
