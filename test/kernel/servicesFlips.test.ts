import { describe, expect, it } from "vitest";
import { flip } from "../support/serviceFlips.ts";

describe("V04 no flow is lost while endpoints change (part: nftables)", () => {
  // 3,000 bytes cut each change into several sends: packets meet what is between them.
  it.each([1, 2, 10])(
    "%i endpoints, in pieces",
    async (endpoints) => {
      const { lost, changes } = await flip({ endpoints, flows: 1500, maxSendBytes: 3000 });
      expect(lost).toEqual([]);
      expect(changes).toBeGreaterThan(20);
    },
    60_000,
  );
});
