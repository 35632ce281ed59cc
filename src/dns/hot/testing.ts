import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { DnsError, decodeMessage } from "#wire/dns/index.ts";
import type { Mutations } from "#wire/dns/testing/index.ts";
import { Answerer, chain, type HotAnswers, makeReply, noFallthrough, type Plugin, type Site } from "../core/index.ts";
import type { ClusterIndex } from "../plugins/kubernetes/clusterIndex.ts";
import { KubernetesPlugin } from "../plugins/kubernetes/handler.ts";
import { ClusterRecords } from "../plugins/kubernetes/model.ts";
import type { RecordOptions } from "../plugins/kubernetes/options.ts";
import { HotCounters, maxZones } from "./counters.ts";
import { HotPath } from "./hotPath.ts";
import { controlBytes, type HotMemory } from "./layout.ts";
import { udpLimits } from "./limits.ts";
import { HotReader, hotResult } from "./reader.ts";

/** How a cluster is served in a test. */
export interface BothPathsOptions extends Partial<RecordOptions> {
  readonly zones?: readonly string[];
  /** Zones of denials that go on to the next plugin. */
  readonly fallthrough?: readonly string[];
  /** Plugins before kubernetes. */
  readonly before?: readonly Plugin[];
  /** Zones of another server block, in which every name is the address 192.0.2.1. */
  readonly otherZones?: readonly string[];
  readonly serial?: () => number;
  /** Resolves when the first state is complete; absent: it is. */
  readonly synced?: Promise<void>;
}

/** The same cluster by the plugins and by the hot path, without sockets. */
export interface BothPaths {
  readonly hotPath: HotPath;
  readonly log: string[];
  /** What plugins were told of answers given without them. */
  readonly told: HotAnswers[];
  /** The plugins' answer; undefined when there is none. */
  plugins(packet: Uint8Array): Uint8Array | undefined;
  /** Lets the plugins see a packet that was passed on, whatever they answer. */
  show(packet: Uint8Array): void;
  /** The hot path's answer; "pass" when it has none of its own. */
  hot(packet: Uint8Array): Uint8Array | "pass" | undefined;
  /** Resolves when what has changed so far is published. */
  settled(): Promise<void>;
}

const slotBytes = 4096;
/** A byte that no packet has in all places. */
const guard = 0xee;
const peer = { address: "127.0.0.1", port: 53_000, protocol: "udp" } as const;

/** What a test may want to see or set. */
interface PathsParts {
  /** What plugins were told is put here. */
  readonly told?: HotAnswers[];
  /** Milliseconds of the tables' clock. Default: it stands still. */
  readonly clock?: () => number;
  readonly metrics?: Metrics;
}

/** Serves an index both ways. */
export function bothPaths(index: ClusterIndex, options: BothPathsOptions = {}): BothPaths {
  const zones = options.zones ?? ["cluster.local."];
  const recordOptions = {
    primaryZone: zones[0] ?? ".",
    ttl: 5,
    podMode: "insecure",
    endpointPodNames: false,
    ignoreEmptyService: false,
    ...options,
  } as const;
  const records = new ClusterRecords(index, recordOptions);
  const told: HotAnswers[] = [];
  const counting: Plugin = { name: "counting", hot: "neutral", answeredHot: (answers) => void told.push(answers) };
  let synced = options.synced === undefined;
  void options.synced?.then(() => {
    synced = true;
  });
  const source = {
    get synced() {
      return synced;
    },
    get serial() {
      return options.serial?.() ?? 1000;
    },
    start: async () => {},
    settled: async () => await options.synced,
    stop: async () => {},
    troubles: () => [],
  };
  const kubernetes = new KubernetesPlugin({
    zones,
    fallthrough: options.fallthrough ? { zones: options.fallthrough } : noFallthrough,
    index,
    records,
    source,
    instance: { resolve: () => makeReply("", {}) } as never,
    options: recordOptions,
    own: [],
    search: [],
  });
  const next = () => makeReply("next", { rcode: 5 });
  const plugins = [counting, ...(options.before ?? []), kubernetes];
  const sites: Site[] = [{ zones: ["."], plugins, handler: chain(plugins, next) }];
  if (options.otherZones) {
    const other = () => makeReply("other", { rcode: 0, authoritative: true });
    sites.push({ zones: options.otherZones, plugins: [], handler: other });
  }
  return pathsOf(sites, { told });
}

/** Serves server blocks both ways. */
export function pathsOf(sites: readonly Site[], parts: PathsParts = {}): BothPaths {
  const { told = [], clock = () => 0, metrics = new Metrics() } = parts;
  const log: string[] = [];
  const hotPath = new HotPath({
    log: createLogger("dns", { write: (line) => void log.push(line) }),
    metrics,
    server: "dns://:53",
    clock,
  });
  hotPath.use(sites);
  const answerer = new Answerer("dns://:53", sites, clock);
  const counters = HotCounters.forZones(maxZones);
  const reader = new HotReader(counters, 4711);
  const use = ({ fixed, cached }: HotMemory) => reader.use(fixed, cached);
  hotPath.join({ control: new Int32Array(new SharedArrayBuffer(controlBytes)), counters, use });
  // Where a packet stands in the middle of a batch's memory, whose other parts must stay as they are.
  const memory = new Uint8Array(3 * slotBytes).fill(guard);
  return {
    hotPath,
    log,
    told,
    plugins: (packet) => {
      const answer = answerer.answer(packet, peer);
      if (answer instanceof Promise) throw new Error("the plugins took their time");
      return answer;
    },
    show: (packet) => void answerer.answer(packet, peer),
    hot: (packet) => {
      memory.set(packet, slotBytes);
      reader.now = clock();
      const length = reader.answer(memory, slotBytes, packet.length, udpLimits.ipv4);
      const end = slotBytes + Math.max(packet.length, length);
      const answer = memory.slice(slotBytes, slotBytes + Math.max(length, 0));
      memory.fill(guard, slotBytes, end);
      if (memory[slotBytes - 1] !== guard || memory[end] !== guard)
        throw new Error("bytes beside the packet were written");
      if (length === hotResult.pass) return "pass";
      return length === hotResult.none ? undefined : answer;
    },
    settled: async () => {
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** How fuzzing went. */
export interface FuzzOutcome {
  /** Packets that are messages, that the plugins answered, and that the hot path did. */
  readonly decoded: number;
  readonly answered: number;
  readonly hot: number;
}

/**
 * Sends so many broken packets through codec, plugins and hot path.
 * @throws Error for a packet that makes one of them fail, or on which the two disagree; the packet is in hexadecimal
 */
export function fuzz(paths: BothPaths, mutations: Mutations, count: number): FuzzOutcome {
  let [decoded, answered, hot] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const packet = mutations.next();
    try {
      if (isMessage(packet)) decoded++;
      const byPlugins = paths.plugins(packet);
      if (byPlugins) answered++;
      if (byPlugins && !decodeMessage(byPlugins).response) throw new Error("the answer is no answer");
      const ready = paths.hot(packet);
      if (ready === "pass") continue;
      hot++;
      if (!same(ready, byPlugins)) throw new Error(`the plugins say ${hex(byPlugins)}, the hot path ${hex(ready)}`);
    } catch (error) {
      throw new Error(`packet ${i}, ${hex(packet)}: ${String(error)}`, { cause: error });
    }
  }
  return { decoded, answered, hot };
}

function isMessage(packet: Uint8Array): boolean {
  try {
    decodeMessage(packet);
    return true;
  } catch (error) {
    if (error instanceof DnsError) return false;
    throw error;
  }
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "nothing" : Buffer.from(bytes).toString("hex");
}
