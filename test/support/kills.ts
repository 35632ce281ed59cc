import { once } from "node:events";
import { readFileSync } from "node:fs";
import { TestCluster, type TestClusterOptions } from "./cluster.ts";
import { descendants, hostState } from "./host.ts";

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

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 80);
  } catch {
    return "gone";
  }
}

/** What one round killed, for the report of a failure. */
export interface Kill {
  readonly afterMs: number;
  readonly victim: string;
}

/**
 * Starts a cluster, kills one of its processes at a random moment, then the parent; waits until the kernel has
 * cleaned up.
 * @param pick numbers from 0 to 1
 * @param latestMs the kill comes before this many milliseconds
 */
export async function killRound(options: TestClusterOptions, pick: () => number, latestMs: number): Promise<Kill> {
  const cluster = new TestCluster(options);
  const afterMs = Math.round(pick() * latestMs);
  await sleep(afterMs);
  const family = descendants(cluster.process.pid as number);
  const victim = family[Math.floor(pick() * family.length)] as number;
  const kill = { afterMs, victim: `${victim} ${commandOf(victim)}` };
  try {
    process.kill(victim, "SIGKILL");
  } catch {
    // It ended by itself since it was listed.
  }
  await sleep(pick() * 50);
  if (cluster.process.exitCode === null && cluster.process.signalCode === null) {
    const ended = once(cluster.process, "exit");
    cluster.process.kill(pick() < 0.5 ? "SIGKILL" : "SIGTERM");
    await ended;
  }
  await cluster.stop();
  return kill;
}

/** What is there that was not there before, after at most two seconds for the kernel to finish. */
export async function leftovers(
  mark: string,
  before: ReturnType<typeof hostState>,
): Promise<Record<string, readonly string[]>> {
  let left: Record<string, readonly string[]> = {};
  for (let waited = 0; waited < 2000; waited += 20) {
    const now = hostState(mark);
    const entries = (Object.keys(now) as (keyof typeof now)[]).map(
      (key) => [key, now[key].filter((line) => !before[key].includes(line))] as const,
    );
    left = Object.fromEntries(entries.filter(([, lines]) => lines.length));
    if (Object.keys(left).length === 0) break;
    await sleep(20);
  }
  return left;
}
