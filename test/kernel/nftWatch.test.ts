import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inNetns, type Netns, newNetns } from "#kernel/namespaces/index.ts";
import { dataTypes, type Nftables, type NftSet, openNftables, type Table, Transaction } from "#kernel/nft/index.ts";

describe("changes of others to nftables", () => {
  const table: Table = { family: "ip", name: "ours" };
  const set: NftSet = { table, name: "numbers", key: [dataTypes.mark] };
  let netns: Netns;
  let ours: Nftables;
  let other: Nftables;
  let reported: (string | undefined)[];
  beforeEach(() => {
    netns = newNetns();
    ours = inNetns(netns, () => openNftables());
    other = inNetns(netns, () => openNftables());
    reported = [];
    ours.onForeignChange((found) => reported.push(found && `${found.family} ${found.name}`));
  });
  afterEach(() => {
    ours.close();
    other.close();
    netns.close();
  });

  /** More than goes in one send. */
  const large = (from: number) =>
    new Transaction().addElements(
      set,
      Array.from({ length: 30_000 }, (_, i) => {
        const key = Buffer.alloc(4);
        key.writeUInt32LE(from + i);
        return { key };
      }),
    );

  it("are reported by table; our own, small and large, are not", async () => {
    await ours.commit(new Transaction().addTable(table).addSet(set));
    await ours.commit(large(0));
    await other.commit(new Transaction().addTable({ family: "ip6", name: "theirs" }));
    await expect.poll(() => reported, { timeout: 10_000 }).toEqual(["ip6 theirs"]);
    await other.commit(new Transaction().deleteTable(table));
    await expect.poll(() => reported, { timeout: 10_000 }).toEqual(["ip6 theirs", "ip ours"]);
  });

  it("between the sends of a large change of our own are noticed, though not whose table they are of", async () => {
    await ours.commit(new Transaction().addTable(table).addSet(set));
    await Promise.all([
      ours.commit(large(0)),
      other.commit(new Transaction().addTable({ family: "ip", name: "theirs" })),
    ]);
    expect(reported).toContain(undefined);
  });
});
