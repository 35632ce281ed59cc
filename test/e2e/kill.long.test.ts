import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostState } from "../support/host.ts";
import { killRound, leftovers, random } from "../support/kills.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SEED = Number(process.env["PODWIRE_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["PODWIRE_TEST_KILLS"] ?? 200);

describe("killed at a random moment, many times", () => {
  let staging: Staging;
  beforeAll(() => {
    staging = makeStaging();
  });
  afterAll(() => staging.remove());

  it(`leaves nothing behind on the host (${ROUNDS} kills, seed ${SEED})`, { timeout: ROUNDS * 10_000 }, async () => {
    const pick = random(SEED);
    const before = hostState(staging.directory);
    for (let round = 0; round < ROUNDS; round++) {
      const kill = await killRound({ staging }, pick, 2000);
      expect({ seed: SEED, round, kill, left: await leftovers(staging.directory, before) }).toEqual({
        seed: SEED,
        round,
        kill,
        left: {},
      });
    }
  });
});
