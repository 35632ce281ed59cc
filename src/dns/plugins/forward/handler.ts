import type { Metrics } from "#base/metrics.ts";
import { isSubdomain, type Message, Rcode, rcodeName } from "#wire/dns/index.ts";
import { type Handler, makeReply, type Plugin, type Reply, type Request } from "../../core/index.ts";
import { dnsDurations } from "../prometheus/buckets.ts";
import type { Upstream } from "./upstream.ts";

/** How queries are spread over upstreams. */
export type Policy = "random" | "round_robin" | "sequential";

/** What a forward directive says. */
export interface ForwardOptions {
  /** Names below it are forwarded, lower case. */
  readonly from: string;
  /** Zones below it that are not. */
  readonly except: readonly string[];
  readonly policy: Policy;
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Queries under way at once; 0: any number. */
  readonly maxConcurrent: number;
  /** Answer SERVFAIL at once when all upstreams are down, instead of trying one at random. */
  readonly failFast: boolean;
  /** Rcodes of an upstream's answer for which the next forward is asked instead. */
  readonly next: ReadonlySet<number>;
  /** An answer without records of a name that exists goes to the next forward too. */
  readonly nextOnNodata: boolean;
  /** Rcodes for which the next upstream is asked. */
  readonly failover: ReadonlySet<number>;
  /** Most failed tries for one query; 0: any number within its time. */
  readonly maxAttempts: number;
}

/** Queries under way at once where the Corefile sets no bound: each holds a socket. */
const maxConcurrentDefault = 4096;

/** For one query with all its tries, and for one try; milliseconds. */
const deadlineMs = 5000;
const tryMs = 2000;

/** Between two rounds of all upstreams, doubled from round to round; milliseconds. */
const firstPauseMs = 50;

/** An upstream's answer. */
interface Answered {
  readonly answer: Message;
  readonly upstream: Upstream;
}

/** How far a query has come. */
interface Attempt {
  readonly request: Request;
  /** When its time is over, by performance.now(). */
  readonly end: number;
  failed: number;
  /** Why the last try failed. */
  error: unknown;
}

/** Sends queries on to upstream servers, one after the other until one answers. */
export class ForwardPlugin implements Plugin {
  readonly name = "forward";
  readonly #options: ForwardOptions;
  readonly #upstreams: readonly Upstream[];
  readonly #metrics: Metrics;
  /** Whether another forward stands behind this one in the server block. */
  readonly #hasNext: () => boolean;
  readonly anyClass = true;
  #concurrent = 0;
  #turn = 0;

  constructor(
    options: ForwardOptions,
    upstreams: readonly Upstream[],
    metrics: Metrics,
    hasNext: (self: ForwardPlugin) => boolean,
  ) {
    this.#options = options;
    this.#hasNext = () => hasNext(this);
    this.#upstreams = upstreams;
    this.#metrics = metrics;
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    const maxConcurrent = this.#options.maxConcurrent || maxConcurrentDefault;
    if (!this.#takes(request.name)) return next(request);
    if (request.peer.busy) return makeReply(this.name, { drop: true });
    if (this.#concurrent >= maxConcurrent) {
      this.#metrics
        .counter(
          "coredns_forward_max_concurrent_rejects_total",
          "Counter of the number of queries rejected because the concurrent queries were at maximum.",
        )
        .inc();
      return makeReply(this.name, { rcode: Rcode.REFUSED, overloaded: true });
    }
    return this.#forward(request, next);
  }

  /** The zone's own name is forwarded even where `except` names it, as in CoreDNS. */
  #takes(name: string): boolean {
    const { from, except } = this.#options;
    return name === from || (isSubdomain(name, from) && !except.some((zone) => isSubdomain(name, zone)));
  }

  async stop(): Promise<void> {
    for (const upstream of this.#upstreams) upstream.close();
  }

  async #forward(request: Request, next: Handler): Promise<Reply> {
    this.#concurrent++;
    try {
      const { answer, upstream } = await this.#firstAnswer(request);
      if (this.#passesOn(answer) && this.#hasNext()) return await next(request);
      const metadata = request.metadata && new Map([["forward/upstream", () => upstream.name]]);
      return { ...replyOf(answer), ...(metadata && { metadata }) };
    } finally {
      this.#concurrent--;
    }
  }

  #passesOn({ rcode, answers }: Message): boolean {
    const nodata = rcode === Rcode.NOERROR && answers.length === 0;
    return this.#options.next.has(rcode) || (nodata && this.#options.nextOnNodata);
  }

  /** Goes round the upstreams that are up until one answers, or the query's time is over. */
  async #firstAnswer(request: Request): Promise<Answered> {
    const end = performance.now() + deadlineMs;
    const attempt: Attempt = { request, end, failed: 0, error: new Error("no healthy proxies") };
    const ordered = this.#ordered();
    for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
      const up = ordered.filter((upstream) => !upstream.down);
      const found = await this.#round(up.length > 0 ? up : this.#allDown(), attempt);
      if (found) return found;
      const left = end - performance.now();
      if (up.length === 0 || left <= 0 || this.#exhausted(attempt)) throw attempt.error;
      // Those that refuse do so at once: without a pause this would ask them as fast as it can.
      await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, left)));
    }
  }

  /** Asks one after the other; the last answer that was not wanted when there is no better one. */
  async #round(upstreams: readonly Upstream[], attempt: Attempt): Promise<Answered | undefined> {
    let unwanted: Answered | undefined;
    for (const upstream of upstreams) {
      const now = performance.now();
      if (attempt.end <= now || this.#exhausted(attempt)) break;
      try {
        const answer = await this.#ask(upstream, attempt.request, Math.min(attempt.end, now + tryMs));
        if (!this.#options.failover.has(answer.rcode)) return { answer, upstream };
        unwanted = { answer, upstream };
      } catch (error) {
        attempt.failed++;
        attempt.error = error;
      }
    }
    return unwanted;
  }

  #exhausted({ failed }: Attempt): boolean {
    return this.#options.maxAttempts > 0 && failed >= this.#options.maxAttempts;
  }

  async #ask(upstream: Upstream, request: Request, end: number): Promise<Message> {
    const { forceTcp, preferUdp } = this.#options;
    const protocol = forceTcp || (request.peer.protocol === "tcp" && !preferUdp) ? "tcp" : "udp";
    const begin = performance.now();
    let answer = await upstream.exchange(request.message, protocol, end);
    if (answer.truncated && protocol === "udp" && preferUdp) {
      answer = await upstream.exchange(request.message, "tcp", end);
    }
    this.#metrics
      .histogram("coredns_proxy_request_duration_seconds", "Histogram of the time each request took.", dnsDurations)
      .observe((performance.now() - begin) / 1000, {
        proxy_name: this.name,
        to: upstream.name,
        rcode: rcodeName(answer.rcode),
      });
    return answer;
  }

  /** Whom to ask while all are down: one at random, as the checks themselves may be what fails. */
  #allDown(): readonly Upstream[] {
    this.#metrics
      .counter(
        "coredns_forward_healthcheck_broken_total",
        "Counter of the number of complete failures of the healthchecks.",
      )
      .inc();
    const any = this.#upstreams[Math.floor(Math.random() * this.#upstreams.length)];
    return this.#options.failFast || !any ? [] : [any];
  }

  #ordered(): readonly Upstream[] {
    const list = this.#upstreams;
    if (list.length < 2 || this.#options.policy === "sequential") return list;
    const first =
      this.#options.policy === "random" ? Math.floor(Math.random() * list.length) : this.#turn++ % list.length;
    return [...list.slice(first), ...list.slice(0, first)];
  }
}

function replyOf(answer: Message): Reply {
  return makeReply("forward", {
    rcode: answer.rcode,
    authoritative: answer.authoritative,
    recursionAvailable: answer.recursionAvailable,
    authenticData: answer.authenticData,
    truncated: answer.truncated,
    answers: answer.answers,
    authorities: answer.authorities,
    additionals: answer.additionals,
    ...(answer.edns && { options: answer.edns.options }),
  });
}
