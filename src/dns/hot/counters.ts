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
    const now = this.#numbers.slice(0, 1 + zones.length * stride);
    const since = (index: number) => (now[index] as number) - (this.#seen[index] as number);
    const answers = zones.map((names, zone) => ofZone(names, since, 1 + zone * stride));
    const all = answers.reduce((sum, { total }) => sum + total, 0);
    const seconds = all === 0 ? 0 : since(0) / 1000 / all;
    this.#seen.set(now);
    return answers.filter(({ total }) => total > 0).map((answer) => ({ ...answer, protocol: this.#protocol, seconds }));
  }
}

function ofZone(
  names: CountedZone,
  since: (index: number) => number,
  base: number,
): Omit<HotAnswers, "protocol" | "server"> {
  const counted = (at: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ i, times: since(base + at + i) })).filter(({ times }) => times > 0);
  const responses = counted(responsesAt, rcodes).map(({ i, times }) => ({ rcode: i, times }));
  const bytes = (at: number) => counted(at, sizes + 1).map(({ i, times }) => ({ bytes: i, times }));
  return {
    ...names,
    requests: counted(requestsAt, families * types).map(({ i, times }) => ({
      family: Math.floor(i / types),
      type: i % types,
      times,
    })),
    responses,
    requestSizes: bytes(askedAt),
    responseSizes: bytes(answeredAt),
    dnssecOk: since(base + dnssecAt),
    total: responses.reduce((sum, { times }) => sum + times, 0),
    seconds: 0,
  };
}

function add(numbers: Float64Array, index: number, by: number): void {
  numbers[index] = (numbers[index] as number) + by;
}
