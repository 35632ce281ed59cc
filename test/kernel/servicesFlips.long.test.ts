import { describe, expect, it } from "vitest";
import { flip } from "../support/serviceFlips.ts";

const flows = Number(process.env["PODWIRE_TEST_FLOWS"] ?? 1_000_000);

describe("V04 no flow of a million is lost while endpoints change (part: nftables)", () => {
  it.each([1, 2, 10])(
    `%i endpoints, ${flows} flows`,
    async (endpoints) => {
      // Changes of three thousand Services at a time are more than one send.
      const { lost, answered, sends } = await flip({ endpoints, flows, others: 3000, maxSendBytes: 212_992 });
      expect(lost).toEqual([]);
      expect(answered).toBeGreaterThan(endpoints);
      expect(sends).toBeGreaterThan(1);
    },
    1_800_000,
  );

  it.each(["NodePort with policy Local", "ClusterIP with affinity"] as const)(
    "%s, in pieces",
    async (kind) => {
      const { lost, answered, sends } = await flip({
        kind,
        endpoints: 10,
        flows: flows / 10,
        others: 12,
        maxSendBytes: 3000,
      });
      expect(lost).toEqual([]);
      expect(answered).toBeGreaterThan(1);
      expect(sends).toBeGreaterThan(1);
    },
    1_800_000,
  );
});
