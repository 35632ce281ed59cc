import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killRound, random } from "../support/kills.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SEED = Number(process.env["PODWIRE_TEST_SEED"] ?? 1);
const ROUNDS = Number(process.env["PODWIRE_TEST_KILLS"] ?? 12);
/** Every other cluster is small: more of its kills meet it when it is up. */
const SMALL = ["--nodes", "2", "--example", "none", "--ingress", "none"];

describe("killed at a random moment", () => {
  let staging: Staging;
  beforeAll(() => {
    staging = makeStaging();
  });
  afterAll(() => staging.remove());

  it(`leaves nothing behind on the host (${ROUNDS} kills, seed ${SEED})`, { timeout: ROUNDS * 30_000 }, async () => {
    const pick = random(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      const flags = round % 2 === 0 ? [] : SMALL;
      const { kill, left, state } = await killRound({ staging, flags }, pick, 1500);
      expect({ round, kill, left, state }).toEqual({ round, kill, left: {}, state: [] });
    }
  });
});
