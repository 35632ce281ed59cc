import { afterAll, beforeAll, expect, it } from "vitest";
import { chaosTest, startCrowd, wreak } from "#test/support/chaos.ts";
import { random, WatchedCluster } from "#test/support/kills.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";
import { people, type User } from "#test/support/user.ts";

const SEED = Number(process.env["PODWIRE_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const SECONDS = Number(process.env["PODWIRE_TEST_SECONDS"] ?? 180);
/** The engine's place below `podwire up`. */
const ENGINE = 3;

people.describe("killed containers and agents, and at last the engine, of %s", ["root", "an ordinary user"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: WatchedCluster;
  beforeAll(async () => {
    staging = makeStaging();
    user = people.user(who);
    const flags = ["--example", "none", "--ingress", "none"];
    cluster = new WatchedCluster({ staging, flags, ...(user ? { user } : {}) });
    await cluster.ready();
    await cluster.podsReady();
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    user?.remove();
    staging.remove();
  });

  chaosTest(() => cluster, { seconds: SECONDS, seed: SEED });

  it("leave nothing on the host when the engine is killed in the midst of it", async () => {
    await startCrowd(cluster);
    const killed = await wreak(cluster, random(SEED + 1), 5);
    cluster.look();
    const ended = new Promise((resolve) => cluster.process.once("exit", resolve));
    process.kill(cluster.family[ENGINE] as number, "SIGKILL");
    expect(await ended).toBe(1);
    await cluster.end("SIGKILL");
    expect({ seed: SEED, killed, left: await cluster.leftovers() }).toEqual({ seed: SEED, killed, left: {} });
    expect(await cluster.state()).toEqual([]);
  });
});
