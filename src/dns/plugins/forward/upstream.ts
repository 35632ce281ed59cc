import { type Message, query, RecordClass, RecordType } from "#wire/dns/index.ts";
import { exchangeUdp, isOwnTrouble, type Target, targetText } from "./exchange.ts";
import { TcpPool, type TlsFiles } from "./tcpPool.ts";

/** How an upstream is asked and judged; times in milliseconds. */
export interface UpstreamOptions {
  /** Failed health checks after which it counts as down; 0: never. */
  readonly maxFails: number;
  /** Between health checks. */
  readonly checkMs: number;
  /** How long TCP connections are kept. */
  readonly expireMs: number;
  /** How long they are used at all, from their begin; 0: any time. */
  readonly maxAgeMs: number;
  /** The name of the check's query. */
  readonly checkDomain: string;
  readonly checkRecursion: boolean;
  /** What checks go over, where the target has no TLS. */
  readonly checkProtocol: "udp" | "tcp";
  /** Most idle TCP connections; 0: up to the bound of all. */
  readonly maxIdle: number;
  /** Texts of PEM files and the name for TLS. */
  readonly tls: TlsFiles;
}

/** What an upstream counts. */
export interface UpstreamCounters {
  /** A health check failed. */
  failed(to: string): void;
  /** A connection was taken from those kept, or newly made. */
  connection(to: string, protocol: string, kept: boolean): void;
}

/** Idle connections to one upstream that are kept at most. */
const maxIdleConnections = 1024;

/** CoreDNS' defaults. */
export const upstreamDefaults: UpstreamOptions = {
  maxFails: 2,
  checkMs: 500,
  expireMs: 10_000,
  maxAgeMs: 0,
  checkDomain: ".",
  checkRecursion: true,
  checkProtocol: "udp",
  maxIdle: 0,
  tls: {},
};

/** A check that takes longer than this has failed. */
const checkTimeoutMs = 1000;

/** One server that queries are forwarded to. It is checked only after a failure, until it answers again. */
export class Upstream {
  readonly target: Target;
  readonly name: string;
  readonly #options: UpstreamOptions;
  readonly #tcp: TcpPool;
  readonly #counters: UpstreamCounters;
  #fails = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: Target, options: UpstreamOptions, counters: UpstreamCounters) {
    this.target = target;
    this.name = targetText(target);
    this.#options = options;
    this.#counters = counters;
    this.#tcp = new TcpPool(target, {
      expireMs: options.expireMs,
      maxAgeMs: options.maxAgeMs,
      maxIdle: options.maxIdle || maxIdleConnections,
      tls: options.tls,
      counted: (kept) => counters.connection(this.name, target.tls ? "tcp-tls" : "tcp", kept),
    });
  }

  /** Whether it should not be asked while another one is up. */
  get down(): boolean {
    return this.#options.maxFails > 0 && this.#fails >= this.#options.maxFails;
  }

  /**
   * Asks; a failure that may be the upstream's begins the health checks.
   * @param end when the time for it is over, by performance.now()
   */
  async exchange(message: Message, protocol: "udp" | "tcp", end: number): Promise<Message> {
    try {
      const answer = await this.#ask(message, protocol, end);
      return answer;
    } catch (error) {
      if (!isOwnTrouble(error)) this.#check();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tcp.close();
  }

  #ask(message: Message, protocol: "udp" | "tcp", end: number): Promise<Message> {
    const udp = protocol === "udp" && !this.target.tls;
    return udp ? exchangeUdp(message, this.target, end - performance.now()) : this.#tcp.exchange(message, end);
  }

  /** Begins to check unless a check is under way. */
  #check(): void {
    if (this.#closed || this.#timer || this.#options.maxFails === 0) return;
    const probe: Message = {
      ...query(0, { name: this.#options.checkDomain, type: RecordType.NS, class: RecordClass.IN }),
      recursionDesired: this.#options.checkRecursion,
    };
    const run = async () => {
      try {
        const end = performance.now() + checkTimeoutMs;
        await this.#ask(probe, this.#options.checkProtocol, end); // any answer, even REFUSED, is a sign of life
        this.#fails = 0;
        this.#timer = undefined;
      } catch {
        this.#fails++;
        this.#counters.failed(this.name);
        if (!this.#closed) this.#arm(run);
      }
    };
    this.#arm(run, 0);
  }

  #arm(run: () => Promise<void>, delayMs = this.#options.checkMs): void {
    this.#timer = setTimeout(() => void run(), delayMs);
    this.#timer.unref();
  }
}
