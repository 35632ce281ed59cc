import { afterAll, beforeAll, describe } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { firstLightTests } from "../support/firstLight.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { makeUser, type User } from "../support/user.ts";

describe.each(["root", "an ordinary user"])("first light as %s", (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;

  beforeAll(async () => {
    staging = makeStaging();
    if (who !== "root") user = makeUser();
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
