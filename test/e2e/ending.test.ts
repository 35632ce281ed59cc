import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { comparesWholeHost, processesOf } from "../support/host.ts";
import { type Ending, WatchedCluster } from "../support/kills.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

const LONG = process.env["PODWIRE_LONG"] === "1";

/** Exit code of `podwire up` by how it is ended; null: the signal itself ends it. And whose cluster it is in `npm test`. */
const ENDINGS: readonly (readonly [ending: Ending, code: number | null, short: readonly string[]])[] = [
  ["SIGINT", 0, ["root"]],
  ["SIGTERM", 0, ["an ordinary user"]],
  ["SIGHUP", 0, ["root"]],
  ["down", 0, ["an ordinary user"]],
  ["SIGKILL", null, ["root", "an ordinary user"]],
];

/** A cluster of which each part is there, but the shop and its ingress. */
const SMALL = LONG ? [] : ["--nodes", "2", "--example", "none", "--ingress", "none"];

/** Processes without which a cluster cannot go on, by their place below `podwire up`. */
const VICTIMS = ["the first process of the namespaces", "the lab's init", "the engine"] as const;

people.describe("a cluster of %s ends", ["root", "an ordinary user"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: WatchedCluster;
  beforeAll(() => {
    staging = makeStaging();
    user = people.user(who);
  });
  afterEach(() => cluster?.stop());
  afterAll(() => {
    user?.remove();
    staging.remove();
  });

  const start = async (flags: readonly string[] = SMALL): Promise<WatchedCluster> => {
    cluster = new WatchedCluster({ staging, flags, ...(user ? { user } : {}) });
    await cluster.ready();
    return cluster;
  };

  comparesWholeHost();

  const endings = ENDINGS.filter(([, , short]) => LONG || short.includes(who));
  it.each(endings)("by %s, without leaving anything", async (ending, code) => {
    const { process } = await start(ending === "SIGKILL" ? [] : SMALL);
    expect(processesOf([cluster.directory]).length).toBeGreaterThan(1);
    await cluster.end(ending);
    expect(process.exitCode).toBe(code);
    expect(await cluster.leftovers()).toEqual({});
    expect(await cluster.state()).toEqual([]);
  });

  const steps = LONG || who === "root" ? ["certificates", "engine", "fabric", "machines", "api"] : [];
  it.each(steps)(
    "by Ctrl-C after the step `%s` of its start, without a word and without leaving anything",
    async (step) => {
      // Of some nodes each step lasts long enough to be met.
      cluster = new WatchedCluster({ staging, flags: ["--nodes", LONG ? "16" : "6"], ...(user ? { user } : {}) });
      const { process } = cluster;
      const ended = new Promise<number | null>((resolve) => process.once("exit", resolve));
      await new Promise<void>((resolve) => {
        process.stdout?.on("data", () => cluster.output.includes(`✓ ${step}`) && resolve());
        process.once("exit", () => resolve());
      });
      await cluster.end("SIGINT");
      expect(await ended).toBe(0);
      expect(cluster.output).not.toMatch(/podwire:|Ctrl-C ends it/);
      expect(await cluster.leftovers()).toEqual({});
      expect(await cluster.state()).toEqual([]);
    },
  );

  const victims = LONG || who !== "root" ? VICTIMS : [];
  it.each(victims.map((name, i) => [name, i] as const))("by the death of %s, and says so", async (_, i) => {
    const { process: up } = await start();
    cluster.look();
    const ended = new Promise((resolve) => up.once("exit", resolve));
    process.kill(cluster.family[i + 1] as number, "SIGKILL");
    expect(await ended).toBe(1);
    // The end of a process may be told before the last of its output has come through the pipe.
    await expect.poll(() => cluster.output).toContain("the lab's engine ended");
    await cluster.end("SIGKILL");
    expect(await cluster.leftovers()).toEqual({});
    expect(await cluster.state()).toEqual([]);
  });
});
