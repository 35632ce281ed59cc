import { afterAll, beforeAll } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { firstLightTests } from "../support/firstLight.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

/** In `npm test` root's clusters are those of the other files: the shop is in some of them, too. */
const WHOSE =
  process.env["PODWIRE_LONG"] === "1" ? (["root", "an ordinary user"] as const) : (["an ordinary user"] as const);

people.describe("first light as %s", WHOSE, (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;

  beforeAll(async () => {
    staging = makeStaging();
    user = people.user(who);
    cluster = new TestCluster({ staging, ...(user ? { user } : {}) });
    await cluster.ready();
    await cluster.podsReady();
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    user?.remove();
    staging.remove();
  });

  firstLightTests(() => cluster);
});
