import { describe, expect, it } from "vitest";
import { flip } from "../support/serviceFlips.ts";

describe("V04 no flow is lost while endpoints change (part: nftables)", () => {
  // That changes really go in several sends is proved in the long tier, with more Services.
  it.each([1, 2, 10])(
    "up to %i endpoints",
    async (endpoints) => {
      const { lost, answered } = await flip({ endpoints, flows: 1500, maxSendBytes: 3000 });
      expect(lost).toEqual([]);
      expect(answered).toBeGreaterThan(endpoints);
    },
    60_000,
  );
});
