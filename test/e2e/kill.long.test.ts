import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { comparesWholeHost } from "../support/host.ts";
import { killRound, random } from "../support/kills.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

const SEED = Number(process.env["PODWIRE_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["PODWIRE_TEST_KILLS"] ?? 200);

describe("killed at a random moment, many times", () => {
  let staging: Staging;
  let user: User | undefined;
  beforeAll(() => {
    staging = makeStaging();
    user = people.user("an ordinary user");
  });
  afterAll(() => {
    user?.remove();
    staging.remove();
  });

  comparesWholeHost();

  it(`leaves nothing behind on the host (${ROUNDS} kills, seed ${SEED})`, { timeout: ROUNDS * 10_000 }, async () => {
    const pick = random(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      const options = round % 2 && user ? { staging, user } : { staging };
      const { kill, left, state } = await killRound(options, pick, 2000);
      const where = { seed: SEED, round, kill };
      expect({ ...where, left, state }).toEqual({ ...where, left: {}, state: [] });
    }
  });
});
