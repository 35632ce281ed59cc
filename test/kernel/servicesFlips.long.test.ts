import { describe, expect, it } from "vitest";
import { flip } from "../support/serviceFlips.ts";

const flows = Number(process.env["PODWIRE_TEST_FLOWS"] ?? 1_000_000);

describe("V04 no flow of a million is lost while endpoints change (part: nftables)", () => {
  it.each([1, 2, 10])(
    `%i endpoints, ${flows} flows`,
    async (endpoints) => {
      const { lost, changes } = await flip({ endpoints, flows, maxSendBytes: 212_992 });
      expect(lost).toEqual([]);
      expect(changes).toBeGreaterThan(flows / 1000);
    },
    1_800_000,
  );
});
