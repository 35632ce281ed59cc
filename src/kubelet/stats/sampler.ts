import type { ProcessUsage } from "./processes.ts";

/** A container's first process. */
export interface RunningProcess {
  readonly podUid: string;
  readonly container: string;
  readonly pid: number;
}

/** What was used until a moment. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

/** The usage of a node and its containers at one moment. */
export interface Sample {
  /** In ms since 1970. */
  readonly at: number;
  readonly node: Usage;
  /** By `containerKey`. A run of a container is one entry: its counters begin at 0. */
  readonly containers: ReadonlyMap<string, Usage>;
}

/** Two samples: rates are what lies between them. */
export interface Span {
  readonly from: Sample;
  readonly to: Sample;
}

/** How samples are taken. */
export interface SamplerDeps {
  readonly processes: () => readonly ProcessUsage[];
  readonly running: () => readonly RunningProcess[];
  /** What is known of a container without adding up its processes, which leaves out those that have ended. */
  readonly measured?: (pid: number) => Usage | undefined;
  readonly now?: () => number;
  readonly wait?: (ms: number) => Promise<void>;
}

/** Closer samples than this say nothing: ticks are 10 ms. */
const SHORTEST_MS = 1000;
/** An older sample says little of now. */
const LONGEST_MS = 60_000;

/** Names a run of a container. */
export function containerKey({ podUid, container, pid }: RunningProcess): string {
  return `${podUid}/${container}/${pid}`;
}

/** Adds up what the processes have used: all of them for the node, those of a pid namespace for its container. */
function makeSample(
  at: number,
  processes: readonly ProcessUsage[],
  running: readonly RunningProcess[],
  measured: (pid: number) => Usage | undefined,
): Sample {
  const byNamespace = new Map<string, Usage>();
  let node: Usage = { cpuSeconds: 0, memoryBytes: 0 };
  const namespaces = new Map<number, string>();
  for (const one of processes) {
    namespaces.set(one.pid, one.namespace);
    node = add(node, one);
    byNamespace.set(one.namespace, add(byNamespace.get(one.namespace), one));
  }
  const containers = new Map<string, Usage>();
  for (const container of running) {
    const used = measured(container.pid) ?? byNamespace.get(namespaces.get(container.pid) ?? "");
    if (used) containers.set(containerKey(container), used);
  }
  return { at, node, containers };
}

function add(sum: Usage = { cpuSeconds: 0, memoryBytes: 0 }, more: Usage): Usage {
  return { cpuSeconds: sum.cpuSeconds + more.cpuSeconds, memoryBytes: sum.memoryBytes + more.memoryBytes };
}

/**
 * Takes samples when somebody asks, never else: the first time two of them a second apart, later one, which is compared
 * with that of the question before.
 */
export class UsageSampler {
  readonly #deps: Required<SamplerDeps>;
  #span: Span | undefined;
  #last: Sample | undefined;
  #asking: Promise<Span> | undefined;

  constructor(deps: SamplerDeps) {
    this.#deps = {
      measured: () => undefined,
      now: Date.now,
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      ...deps,
    };
  }

  /** Usage until now, without a rate. */
  current(): Sample {
    const { processes, running, measured, now } = this.#deps;
    return makeSample(now(), processes(), running(), measured);
  }

  /** Usage over the time before now: at least a second, at most a minute. */
  span(): Promise<Span> {
    this.#asking ??= this.#measure().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #measure(): Promise<Span> {
    const age = this.#last ? this.#deps.now() - this.#last.at : Number.POSITIVE_INFINITY;
    if (this.#span && age < SHORTEST_MS) return this.#span;
    let from = this.#last;
    if (!from || age > LONGEST_MS) {
      from = this.current();
      await this.#deps.wait(SHORTEST_MS);
    }
    const to = this.current();
    this.#last = to;
    this.#span = { from, to };
    return this.#span;
  }
}

/** Processor time per second between two samples, in nanocores. What has begun meanwhile began at 0. */
export function nanoCores(before: Usage | undefined, after: Usage, { from, to }: Span): number {
  const seconds = (to.at - from.at) / 1000;
  // A process that was started from outside takes what it used with it when it ends.
  const used = Math.max(0, after.cpuSeconds - (before?.cpuSeconds ?? 0));
  return seconds > 0 ? Math.round((used / seconds) * 1e9) : 0;
}
