import type { CachedAnswer, HotAnswers } from "../core/index.ts";
import type { HotCounter } from "./reader.ts";

const families = 3;
const types = 128;
const rcodes = 16;
/** Sizes in bytes are counted one by one up to here. */
const sizes = 4096;
const requestsAt = 0;
const responsesAt = requestsAt + families * types;
const askedAt = responsesAt + rcodes;
const answeredAt = askedAt + sizes + 1;
const dnssecAt = answeredAt + sizes + 1;
const stride = dnssecAt + 1;

/** A zone's answers by plugin and kind: they are counted apart. */
export interface CountedZone {
  readonly zone: string;
  readonly plugin: string;
  readonly cached?: CachedAnswer["kind"];
}

/** Zones whose answers are counted apart. */
export const maxZones = 32;

/**
 * Counters of one reader in shared memory: the reader adds, the main thread looks. Numbers of eight bytes are written
 * whole, so none is seen half; one that is a moment old is counted the next time.
 */
export class HotCounters implements HotCounter {
  /** To be shared with the thread that adds. */
  readonly memory: SharedArrayBuffer;
  readonly #numbers: Float64Array;
  readonly #seen: Float64Array;

  readonly #protocol: HotAnswers["protocol"];

  /** @param memory of another instance, to share it */
  constructor(memory: SharedArrayBuffer, protocol: HotAnswers["protocol"] = "udp") {
    this.memory = memory;
    this.#protocol = protocol;
    this.#numbers = new Float64Array(memory);
    this.#seen = new Float64Array(this.#numbers.length);
  }

  /** Fresh counters for that many zones. */
  static forZones(count: number, protocol?: HotAnswers["protocol"]): HotCounters {
    return new HotCounters(new SharedArrayBuffer(8 * (1 + count * stride)), protocol);
  }

  count(
    zone: number,
    family: number,
    type: number,
    rcode: number,
    dnssecOk: number,
    asked: number,
    answered: number,
  ): void {
    const numbers = this.#numbers;
    const base = 1 + zone * stride;
    add(numbers, base + requestsAt + family * types + type, 1);
    add(numbers, base + responsesAt + rcode, 1);
    add(numbers, base + askedAt + Math.min(asked, sizes), 1);
    if (dnssecOk !== 0) add(numbers, base + dnssecAt, 1);
    add(numbers, base + answeredAt + Math.min(answered, sizes), 1);
  }

  /** Adds the time that a batch took, in milliseconds. */
  spent(ms: number): void {
    add(this.#numbers, 0, ms);
  }

  /** What was counted since the last call, by zone; `zones` by number. */
  take(zones: readonly CountedZone[]): Omit<HotAnswers, "server">[] {
    const spent = (this.#numbers[0] as number) - (this.#seen[0] as number);
    this.#seen[0] = this.#numbers[0] as number;
    const answers = zones.flatMap((names, zone) => this.#ofZone(names, 1 + zone * stride) ?? []);
    const all = answers.reduce((sum, { total }) => sum + total, 0);
    const seconds = all === 0 ? 0 : spent / 1000 / all;
    return answers.map((answer) => ({ ...answer, protocol: this.#protocol, seconds }));
  }

  /** What a zone has more than the last time; undefined when nothing. */
  #ofZone(names: CountedZone, base: number): Omit<HotAnswers, "protocol" | "server"> | undefined {
    const responses = this.#more(base + responsesAt, rcodes).map(([rcode, times]) => ({ rcode, times }));
    if (responses.length === 0) return undefined;
    const bytes = (at: number) => this.#more(base + at, sizes + 1).map(([size, times]) => ({ bytes: size, times }));
    return {
      ...names,
      requests: this.#more(base + requestsAt, families * types).map(([i, times]) => ({
        family: Math.floor(i / types),
        type: i % types,
        times,
      })),
      responses,
      requestSizes: bytes(askedAt),
      responseSizes: bytes(answeredAt),
      dnssecOk: this.#more(base + dnssecAt, 1)[0]?.[1] ?? 0,
      total: responses.reduce((sum, { times }) => sum + times, 0),
      seconds: 0,
    };
  }

  /** Which of `count` numbers have grown, and by how much; the next time from there on. */
  #more(from: number, count: number): [number, number][] {
    const [numbers, seen] = [this.#numbers, this.#seen];
    const grown: [number, number][] = [];
    for (let i = 0; i < count; i++) {
      const now = numbers[from + i] as number;
      if (now === seen[from + i]) continue;
      grown.push([i, now - (seen[from + i] as number)]);
      seen[from + i] = now;
    }
    return grown;
  }
}

function add(numbers: Float64Array, index: number, by: number): void {
  numbers[index] = (numbers[index] as number) + by;
}
