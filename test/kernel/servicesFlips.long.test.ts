import { describe, expect, it } from "vitest";
import { flip } from "../support/serviceFlips.ts";

describe("V04 no flow of a million is lost while endpoints change (part: nftables)", () => {
  it.each([1, 2, 10])(
    "%i endpoints",
    async (endpoints) => {
      const { lost, changes } = await flip({ endpoints, flows: 1_000_000, maxSendBytes: 212_992 });
      expect(lost).toEqual([]);
      expect(changes).toBeGreaterThan(1000);
    },
    1_800_000,
  );
});
