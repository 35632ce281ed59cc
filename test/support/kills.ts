import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { TestCluster, type TestClusterOptions } from "./cluster.ts";
import { type Belongings, bootClock, type HostState, hostState, note, processesOf, remaining } from "./host.ts";

/** A small generator of random numbers with a seed (mulberry32), so that a failing round can be run again. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How often a cluster is looked at, in ms: it takes a few of them, which the cluster's start would lack. */
const LOOK_MS = 100;
/** How often the host is asked whether everything is gone, in ms. */
const SAMPLE_MS = 25;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 80);
  } catch {
    return "gone";
  }
}

/** How a cluster is ended. */
export type Ending = "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGHUP" | "down";

/** What one round did, for the report of a failure. */
export interface Kill {
  readonly who: string;
  readonly afterMs: number;
  readonly victim: string;
  readonly ending: Ending;
}

/** A cluster of which everything that it makes on the host is written down, so that its end can be judged. */
export class WatchedCluster extends TestCluster {
  readonly #before: HostState;
  readonly #marks: readonly string[];
  readonly #belongings: Belongings = { namespaces: new Set(), sockets: new Set() };
  readonly #timer: NodeJS.Timeout;
  #endedAt = Number.POSITIVE_INFINITY;
  /** Its processes, itself first, as last seen. */
  family: readonly number[] = [];

  constructor(options: TestClusterOptions) {
    const before = hostState();
    super(options);
    this.#before = before;
    this.#marks = [options.staging.directory, this.directory];
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Writes down what there is now. */
  look(): void {
    this.family = note(this.process.pid as number, this.#belongings);
  }

  /** Ends it and waits for its process. */
  async end(ending: Ending): Promise<void> {
    this.look();
    clearInterval(this.#timer);
    const { process } = this;
    this.#endedAt = bootClock();
    if (process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, "exit");
    if (ending === "down") await this.podwire("down");
    else process.kill(ending);
    await ended;
    this.#endedAt = bootClock();
  }

  /**
   * What is there that was not there before, after at most ten seconds for the kernel to finish. Its state directory
   * aside, which a SIGKILL leaves to the next command.
   */
  async leftovers(): Promise<Record<string, readonly string[]>> {
    for (let waited = 0; ; waited += SAMPLE_MS) {
      const left = this.#leftNow();
      if (Object.keys(left).length === 0 || waited > 10_000) return left;
      await sleep(SAMPLE_MS);
    }
  }

  #leftNow(): Record<string, readonly string[]> {
    const now = hostState();
    const entries = (Object.keys(this.#before) as (keyof HostState)[]).map((key) => {
      const before = new Set(this.#before[key]);
      const lines = now[key] ?? [`the host's ${key} can no longer be read`];
      return [key, lines.filter((line) => !before.has(line))] as const;
    });
    const own = [
      ["processes", processesOf(this.#marks, this.#belongings, this.#endedAt)],
      ["belongings", remaining(this.#belongings)],
      ["temporary", readdirSync(this.temporary)],
    ] as const;
    return Object.fromEntries([...entries, ...own].filter(([, lines]) => lines.length));
  }

  /**
   * The state directory after another command looked at a cluster that is gone, without the images, which are the
   * user's and not the cluster's.
   */
  async state(): Promise<string[]> {
    await this.podwire("status");
    const folder = `${this.directory}/podwire`;
    return existsSync(folder) ? readdirSync(folder).filter((name) => name !== "_images") : [];
  }

  override async stop(): Promise<void> {
    clearInterval(this.#timer);
    await super.stop();
  }
}

const ENDINGS: readonly Ending[] = ["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "down"];

/**
 * Starts a cluster, kills one of its processes at a random moment, then ends it; says what is left on the host.
 * One round in four waits until the cluster is ready.
 * @param pick numbers from 0 to 1
 * @param latestMs the kill comes before this many milliseconds
 */
export async function killRound(
  options: TestClusterOptions,
  pick: () => number,
  latestMs: number,
): Promise<{ kill: Kill; left: Record<string, readonly string[]>; state: readonly string[] }> {
  const cluster = new WatchedCluster(options);
  const afterReady = pick() < 0.25;
  const afterMs = Math.round(pick() * (afterReady ? 300 : latestMs));
  if (afterReady) await cluster.ready();
  await sleep(afterMs);
  cluster.look();
  const victim = cluster.family[Math.floor(pick() * cluster.family.length)] as number;
  const ending = ENDINGS[Math.floor(pick() * ENDINGS.length)] as Ending;
  const who = options.user ? "user" : "root";
  const kill = { who, afterMs, victim: `${victim} ${commandOf(victim)}`, ending };
  try {
    process.kill(victim, "SIGKILL");
  } catch {
    // It ended by itself since it was listed.
  }
  await sleep(pick() * 50);
  // Before it is ready there may be nobody yet to ask for an end.
  await cluster.end(ending === "down" && !afterReady ? "SIGTERM" : ending);
  const left = await cluster.leftovers();
  const state = await cluster.state();
  await cluster.stop();
  return { kill, left, state };
}
