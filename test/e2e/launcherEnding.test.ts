import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { addCheckout, type Launches, makeStale } from "#test/support/checkout.ts";
import { comparesWholeHost } from "#test/support/host.ts";
import { WatchedCluster } from "#test/support/kills.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";

/** The words of a process; none when it is gone. */
function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** What stands between a person and a cluster while its checkout is built. */
const PREPARING: Readonly<Record<string, (words: readonly string[]) => boolean>> = {
  npm: (words) => words[0]?.startsWith("npm") ?? false,
  "the script": (words) => words.some((word) => word.endsWith("/podwire") || word === "./podwire"),
  "the launcher": (words) => words.some((word) => word.endsWith("/launch.mjs")),
};

describe("a cluster started as people start it ends", () => {
  let staging: Staging;
  let launches: Launches;
  let cluster: WatchedCluster;
  beforeAll(() => {
    staging = makeStaging();
    launches = addCheckout(staging);
  });
  afterEach(() => cluster?.stop());
  afterAll(() => staging.remove());

  const start = (way: keyof Launches): WatchedCluster => {
    cluster = new WatchedCluster({
      staging,
      launch: launches[way],
      flags: ["--example", "none", "--ingress", "none"],
      // npm itself keeps compiled code in the folder of temporary files.
      env: { NODE_DISABLE_COMPILE_CACHE: "1" },
    });
    return cluster;
  };
  /** Kills a process of the cluster's; nothing may be left once the first of them has ended. */
  const killed = async (pid: number): Promise<void> => {
    const { process: first } = cluster;
    const ended = once(first, "exit");
    process.kill(pid, "SIGKILL");
    await ended;
    await cluster.end("SIGKILL");
    expect(await cluster.leftovers()).toEqual({});
    expect(await cluster.state()).toEqual([]);
  };

  comparesWholeHost();

  it.each([
    ["npm start", "npm", 0],
    ["npm start", "what npm's shell became", 1],
    ["./podwire", "what the script became", 0],
  ] as const)("when %s is up, by the death of %s", async (way, _, place) => {
    await start(way).ready();
    cluster.look();
    await killed(cluster.family[place] as number);
  });

  it.each(["SIGINT", "SIGTERM"] as const)("when npm start is up, by %s to npm", async (signal) => {
    await start("npm start").ready();
    await cluster.end(signal);
    expect(await cluster.leftovers()).toEqual({});
    expect(await cluster.state()).toEqual([]);
  });

  it.each(Object.entries(PREPARING))("while npm start builds, by the death of %s", async (_, isVictim) => {
    makeStale(staging);
    start("npm start");
    await expect
      .poll(() => {
        cluster.look();
        return cluster.family.some((pid) => PREPARING["the launcher"]?.(wordsOf(pid)));
      })
      .toBe(true);
    const victim = cluster.family.find((pid) => isVictim(wordsOf(pid)));
    await killed(victim as number);
    expect(cluster.output).not.toContain("Ctrl-C ends it");
  });
});
