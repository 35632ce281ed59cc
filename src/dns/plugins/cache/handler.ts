import type { Counter, Gauge, Labels, Metrics } from "#base/metrics.ts";
import { RecordClass } from "#wire/dns/index.ts";
import type { AnswerSink, Handler, HotAnswers, Plugin, Reply, Request } from "../../core/index.ts";
import { type Bounds, type Item, inCaseOf, inZones, type Kind, kindOf, recordTtl, Store, withTtl } from "./store.ts";

/** What a cache directive says; times in milliseconds unless named otherwise. */
export interface CacheOptions {
  readonly zones: readonly string[];
  readonly success: Bounds;
  readonly denial: Bounds;
  readonly servfailSeconds: number;
  /** Names that get no cached success or denial. */
  readonly disabledSuccess: readonly string[];
  readonly disabledDenial: readonly string[];
  /** Answers stay usable for this long after their end when the upstream fails or is slow; 0: off. */
  readonly staleMs: number;
  /** Ask upstream before a stale answer is given. */
  readonly staleVerify: boolean;
  /** Popular answers are renewed before their end; `amount` 0: off. */
  readonly prefetch: { readonly amount: number; readonly windowMs: number; readonly percent: number };
  /** Give the TTL as it came instead of what is left. */
  readonly keepTtl: boolean;
}

/** Keeps answers of the plugins behind it. */
export class CachePlugin implements Plugin {
  readonly name = "cache";
  readonly hot = "neutral"; // what other plugins publish is not kept here
  readonly #options: CacheOptions;
  readonly #now: () => number;
  /** The label `zones` of metrics. */
  readonly #zones: string;
  readonly #success: Store;
  readonly #denial: Store;
  readonly #refreshing = new Set<string>();
  /** Where answers are given without this plugin: one for each port. */
  readonly #sinks = new Set<AnswerSink>();
  readonly #hits: Counter;
  readonly #misses: Counter;
  readonly #requests: Counter;
  readonly #entries: Gauge;
  readonly #prefetches: Counter;
  readonly #stales: Counter;
  readonly #evictions: Counter;

  constructor(options: CacheOptions, metrics: Metrics, now: () => number) {
    this.#options = options;
    this.#zones = options.zones.join(",");
    this.#now = now;
    const onDelete = (key: string, item: Item) => this.#withdraw(key, item);
    this.#success = new Store(options.success.capacity, onDelete);
    this.#denial = new Store(options.denial.capacity, onDelete);
    this.#hits = metrics.counter("coredns_cache_hits_total", "The count of cache hits.");
    this.#misses = metrics.counter("coredns_cache_misses_total", "The count of cache misses.");
    this.#requests = metrics.counter("coredns_cache_requests_total", "The count of cache requests.");
    this.#entries = metrics.gauge("coredns_cache_entries", "The number of elements in the cache.");
    this.#prefetches = metrics.counter(
      "coredns_cache_prefetch_total",
      "The number of times the cache has prefetched a cached item.",
    );
    this.#stales = metrics.counter(
      "coredns_cache_served_stale_total",
      "The number of requests served from stale cache entries.",
    );
    this.#evictions = metrics.counter("coredns_cache_evictions_total", "The count of cache evictions.");
  }

  /** As if each query had come by. */
  answeredHot({ zone, server, total, plugin, cached }: HotAnswers): void {
    if (plugin === this.name && cached) {
      this.#requests.inc(this.#labels({ server }), total);
      this.#hits.inc(this.#labels({ server }, cached), total);
    } else if (inZones(zone, this.#options.zones)) {
      this.#requests.inc(this.#labels({ server }), total);
      this.#misses.inc(this.#labels({ server }), total);
    }
  }

  /** Publishes what is asked for a second time, and as long as this plugin need not see who asks. */
  publish(sink: AnswerSink): () => void {
    this.#sinks.add(sink);
    return () => void this.#sinks.delete(sink);
  }

  handle(request: Request, next: Handler): Reply | Promise<Reply> {
    if (!inZones(request.name, this.#options.zones)) return next(request);
    const key = keyOf(request);
    const now = this.#now();
    this.#requests.inc(this.#labels(request));
    const item = this.#success.get(key) ?? this.#denial.get(key);
    const left = item && item.ttl * 1000 - (now - item.storedMs);
    if (item && left !== undefined && left > 0) {
      this.#maybePrefetch(request, next, key, item, left);
      this.#offer(request, key, item, left);
      return this.#hit(request, item, Math.ceil(left / 1000));
    }
    if (item && left !== undefined && left > -this.#options.staleMs) return this.#stale(request, next, key, item);
    this.#misses.inc(this.#labels(request));
    return this.#fresh(request, next, key);
  }

  /** Asks the plugins behind and keeps what they say. */
  #fresh(request: Request, next: Handler, key: string): Reply | Promise<Reply> {
    const reply = next(request);
    return reply instanceof Promise
      ? reply.then((value) => this.#keep(request, key, value))
      : this.#keep(request, key, reply);
  }

  #keep(request: Request, key: string, reply: Reply): Reply {
    const kind = kindOf(reply);
    const ttl = reply.uncached ? 0 : this.#ttl(kind, reply);
    const disabled = kind === "success" ? this.#options.disabledSuccess : this.#options.disabledDenial;
    if (ttl <= 0 || inZones(request.name, disabled)) return reply;
    const capped = this.#options.keepTtl || kind === "servfail" ? reply : withTtl(reply, ttl);
    const { options: _hopByHop, ...kept } = capped; // an OPT record is for whom it was sent to (RFC 6891 §6.2.1)
    const [store, other] = kind === "success" ? [this.#success, this.#denial] : [this.#denial, this.#success];
    // A failure must not push out an answer that could still be served stale.
    if (kind === "servfail" && this.#options.staleMs > 0 && this.#success.get(key)) return reply;
    const labels = this.#labels(request, kind === "success" ? "success" : "denial");
    const fresh = { reply: kept, storedMs: this.#now(), ttl, hits: 0, windowEndMs: 0, published: false };
    const evicted = store.set(key, fresh);
    if (evicted > 0) this.#evictions.inc(labels, evicted);
    other.delete(key);
    this.#entries.set(store.size, labels);
    return capped;
  }

  #labels({ server }: Pick<Request, "server">, type?: "success" | "denial"): Labels {
    return { server, ...(type && { type }), zones: this.#zones, view: "" };
  }

  #ttl(kind: Kind, reply: Reply): number {
    if (kind === "other") return 0;
    if (kind === "servfail") return this.#options.servfailSeconds;
    const { minTtl, maxTtl } = this.#options[kind];
    return Math.min(Math.max(recordTtl(reply, kind), minTtl), maxTtl);
  }

  #hit(request: Request, item: Item, seconds: number): Reply {
    const type = this.#denial.get(keyOf(request)) === item ? "denial" : "success";
    this.#hits.inc(this.#labels(request, type));
    const timed = this.#options.keepTtl ? item.reply : withTtl(item.reply, seconds);
    // Authoritative, as CoreDNS has it: some clients discard what is not.
    const shown = inCaseOf(timed, request.question.name);
    return { ...shown, authoritative: true, authenticData: shown.authenticData && wantsAd(request), plugin: this.name };
  }

  /** An answer past its end: given with TTL 0 while a new one is fetched, or only when fetching fails (verify). */
  #stale(request: Request, next: Handler, key: string, item: Item): Reply | Promise<Reply> {
    const serve = () => {
      this.#stales.inc(this.#labels(request));
      return this.#hit(request, item, 0);
    };
    if (!this.#options.staleVerify) {
      this.#refresh(request, next, key);
      return serve();
    }
    return Promise.resolve(this.#fresh(request, next, key)).then(
      (reply) => (reply.drop || reply.overloaded || kindOf(reply) === "servfail" ? serve() : reply),
      serve,
    );
  }

  #maybePrefetch(request: Request, next: Handler, key: string, item: Item, leftMs: number): void {
    const { amount, windowMs } = this.#options.prefetch;
    if (amount === 0) return;
    const now = this.#now();
    if (item.published) this.#seeUse(key, item, now);
    if (now > item.windowEndMs) {
      item.hits = 0;
      this.#withdraw(key, item);
    }
    item.hits++;
    item.windowEndMs = now + windowMs;
    if (item.hits < amount || leftMs > this.#prefetchMs(item) || this.#refreshing.has(key)) return;
    this.#prefetches.inc(this.#labels(request));
    this.#refresh(request, next, key, item);
  }

  /** Looks when a published answer was given last. */
  #seeUse(key: string, item: Item, now: number): void {
    const since = Math.min(...[...this.#sinks].map((sink) => sink.sinceUse(key)));
    item.windowEndMs = Math.max(item.windowEndMs, now - since + this.#options.prefetch.windowMs);
  }

  /** With less than this left a popular answer is fetched anew. */
  #prefetchMs({ ttl }: Item): number {
    return Math.ceil((ttl * this.#options.prefetch.percent) / 100) * 1000;
  }

  /** Publishes an answer that was asked for again; with prefetch one that is popular, until it has to be fetched anew. */
  #offer({ name, question, message }: Request, key: string, item: Item, leftMs: number): void {
    const { amount, windowMs } = this.#options.prefetch;
    const freshMs = amount > 0 ? leftMs - this.#prefetchMs(item) : leftMs;
    if (this.#sinks.size === 0 || item.published || question.class !== RecordClass.IN) return;
    if (freshMs <= 0 || item.hits < amount) return;
    item.published = true;
    const answer = {
      ...{ name, type: question.type, dnssecOk: message.edns?.dnssecOk ?? false },
      checkingDisabled: message.checkingDisabled,
      reply: inCaseOf(item.reply, name),
      keepTtl: this.#options.keepTtl,
      kind: this.#success.get(key) === item ? "success" : "denial",
      ...{ leftMs, freshMs, idleMs: amount > 0 ? windowMs : 0 },
    } as const;
    for (const sink of this.#sinks) sink.keep(key, answer);
  }

  #withdraw(key: string, item: Item): void {
    if (!item.published) return;
    item.published = false;
    for (const sink of this.#sinks) sink.keep(key, undefined);
  }

  /**
   * Fetches anew without anyone waiting; one at a time for each key.
   * @param popular the answer whose uses count for the new one too
   */
  #refresh(request: Request, next: Handler, key: string, popular?: Item): void {
    if (this.#refreshing.has(key)) return;
    this.#refreshing.add(key);
    void Promise.resolve()
      .then(() => this.#fresh(request, next, key))
      .then(() => {
        const renewed = this.#success.get(key) ?? this.#denial.get(key);
        if (!popular || !renewed || renewed === popular) return;
        renewed.hits = popular.hits;
        renewed.windowEndMs = popular.windowEndMs;
      })
      .catch(() => {}) // the old answer stays; the next client's query reports the failure
      .finally(() => this.#refreshing.delete(key));
  }
}

function keyOf({ name, question, message }: Request): string {
  return `${question.class}/${question.type}/${message.edns?.dnssecOk ? 1 : 0}${message.checkingDisabled ? 1 : 0}/${name}`;
}

/** AD says nothing to clients that did not ask for it by DO or AD (RFC 6840 §5.7, 5.8). */
function wantsAd({ message }: Request): boolean {
  return message.authenticData || (message.edns?.dnssecOk ?? false);
}
