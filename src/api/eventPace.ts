/** How fast a component may send events. */
export interface EventRate {
  /** In the long run; 0: as many as there are. */
  readonly perSecond: number;
  /** So many at once, when none were sent for a while. */
  readonly burst: number;
}

/** Upstream's of kubelet (eventRecordQPS, eventBurst) and kube-scheduler (clientConnection.qps, clientConnection.burst). */
export const defaultEventRate: EventRate = { perSecond: 50, burst: 100 };

/**
 * How long an event waits before it is sent, in ms. Events are for people, and they come in swarms just when the
 * objects that they are about are most urgent: what waits on those goes first.
 */
const patienceMs = 500;

/**
 * Lets events go in bunches, in the order in which they came, no more than the rate allows (client-go's token bucket).
 * Without it, the events of a thousand pods are half of all that an API server has to do while they start.
 */
export class EventPace {
  readonly #rate: EventRate;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #tokens: number;
  #counted = performance.now();

  constructor(rate: EventRate = defaultEventRate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Resolves when the event may be sent. */
  due(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#wait();
    return turn;
  }

  /** Lets all that wait go now, whatever the rate. */
  release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#go(this.#waiting.length);
  }

  #wait(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#go(this.#allowed());
      if (this.#waiting.length > 0) this.#wait();
    }, patienceMs);
  }

  #allowed(): number {
    const { perSecond, burst } = this.#rate;
    if (perSecond === 0) return this.#waiting.length;
    const now = performance.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#counted) / 1000) * perSecond);
    this.#counted = now;
    const allowed = Math.min(this.#waiting.length, Math.floor(this.#tokens));
    this.#tokens -= allowed;
    return allowed;
  }

  #go(count: number): void {
    const going = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const go of going) go();
  }
}
