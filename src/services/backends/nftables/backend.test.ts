import { describe, expect, it } from "vitest";
import { FakeNftables, type Table, Transaction } from "#kernel/nft/index.ts";
import { nftablesBackend } from "./backend.ts";
import { SERVICES_TABLE } from "./layout.ts";
import { standInName } from "./standIns.ts";

describe("V04 a table of another make (part: what a replacement that was cut short leaves)", () => {
  it("where a stand-in serves, not nothing is there; it goes with the next commit", async () => {
    const nft = new FakeNftables();
    const backend = nftablesBackend({ nodeName: "node01", localTraffic: { kind: "none" }, nft });
    await backend.readBack();
    expect(backend.isEmpty?.()).toBe(true);
    const standIn: Table = { family: "ip6", name: standInName(SERVICES_TABLE) };
    await nft.commit(new Transaction().addTable(standIn));
    await backend.readBack();
    expect(backend.isEmpty?.()).toBe(false);
    await backend.commit();
    expect((await nft.listTables()).map(({ name }) => name)).not.toContain(standIn.name);
    await backend.readBack();
    expect(backend.isEmpty?.()).toBe(true);
    await backend.close();
  });
});
