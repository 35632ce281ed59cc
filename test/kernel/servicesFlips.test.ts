import { describe, expect, it } from "vitest";
import { SERVICES_TABLE } from "#services/index.ts";
import { flip, remakeTable } from "../support/serviceFlips.ts";
import type { ServicesLab } from "./servicesLab.ts";

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

  it("nor while the table of a version with sets of other types is replaced", async () => {
    const found: { readonly name: string; readonly isOther: boolean }[] = [];
    const look = async ({ nft }: ServicesLab) => {
      for (const table of await nft.listTables()) {
        const state = table.family === "ip" ? await nft.readTable(table) : undefined;
        const hairpin = state?.sets.find(({ name }) => name === "hairpin");
        if (state) found.push({ name: table.name, isOther: hairpin?.timeout === true });
      }
    };
    // The replacement takes several sends of 3,000 bytes.
    const { lost, answered, sends } = await flip({
      ...{ endpoints: 2, flows: 1500, others: 12, maxSendBytes: 3000, after: look },
      meanwhile: async (lab) => {
        remakeTable(lab);
        await look(lab);
      },
    });
    expect(found).toEqual([
      { name: SERVICES_TABLE, isOther: true },
      { name: SERVICES_TABLE, isOther: false },
    ]);
    expect(lost).toEqual([]);
    expect(answered).toBeGreaterThan(1);
    expect(sends).toBeGreaterThan(1);
  }, 60_000);
});
