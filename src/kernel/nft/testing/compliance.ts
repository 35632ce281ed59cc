import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { concat, type Element, hostU32, keyText, type Nftables, NftError, ruleText, Transaction } from "../index.ts";
import { exampleTable } from "./example.ts";

/** What every implementation of {@link Nftables} does. `open` gives one of an empty network namespace. */
export function describeNftables(name: string, open: () => { nft: Nftables; close: () => void }): void {
  describe.each(["ip", "ip6"] as const)(`${name}, family %s`, (family) => {
    let nft: Nftables;
    let close: () => void;
    const example = exampleTable(family);
    const keys = (elements: readonly Element[] | undefined) => (elements ?? []).map(({ key }) => keyText(key)).sort();

    beforeEach(() => {
      ({ nft, close } = open());
    });
    afterEach(() => {
      nft.close();
      close();
    });

    it("reads back what it loaded", async () => {
      await nft.commit(example.load);
      const state = await nft.readTable(example.table);
      expect(state?.chains.map((chain) => chain.name)).toEqual(
        Object.values(example.chains).map((chain) => chain.name),
      );
      expect(state?.chains.find((chain) => chain.name === "filter-forward")?.hook).toEqual(example.chains.forward.hook);
      expect(state?.sets.map((set) => set.name).sort()).toEqual(Object.keys(example.sets).sort());
      for (const chain of Object.values(example.chains)) {
        const wanted = example.rules.filter((rule) => rule.chain === chain).map(ruleText);
        expect(state?.rules.get(chain.name)?.map(ruleText)).toEqual(wanted);
      }
      for (const { set, elements } of example.elements)
        expect(keys(state?.elements.get(set.name))).toEqual(keys(elements));
      const [held] = state?.elements.get("services") ?? [];
      expect(held?.data).toEqual({ kind: "goto", chain: "pick-2" });
      expect(held?.comment).toBe("kube-system/kube-dns:dns");
    });

    it("reads back a set's shape", async () => {
      await nft.commit(example.load);
      const set = (await nft.readTable(example.table))?.sets.find(({ name }) => name === "affinity");
      expect(set).toMatchObject({ dynamic: true, timeout: true, size: 1000 });
      expect(set?.key).toHaveLength(4);
    });

    it("knows nothing of a table that is not there", async () => {
      expect(await nft.readTable(example.table)).toBeUndefined();
      await nft.commit(example.load);
      expect(await nft.listTables()).toEqual([example.table]);
      await nft.commit(new Transaction().deleteTable(example.table));
      expect(await nft.listTables()).toEqual([]);
    });

    it("adds what is there already without harm", async () => {
      await nft.commit(example.load);
      const again = new Transaction()
        .addTable(example.table)
        .addSet(example.sets.hairpin)
        .addChain(example.chains.forward);
      for (const { set, elements } of example.elements) again.addElements(set, elements);
      await nft.commit(again);
      expect((await nft.readTable(example.table))?.rules.get("filter-forward")).toHaveLength(2);
    });

    it("replaces and deletes elements", async () => {
      await nft.commit(example.load);
      const { endpoints } = example.sets;
      const key = concat(example.virtual, hostU32(1));
      await nft.commit(new Transaction().replaceElements(endpoints, [{ key, data: example.endpoint(9) }]));
      const held = (await nft.readElements(endpoints)).find((element) => keyText(element.key) === keyText(key));
      expect(held?.data).toEqual(example.endpoint(9));
      await nft.commit(new Transaction().deleteElements(endpoints, [{ key }]));
      expect(await nft.readElements(endpoints)).toHaveLength(1);
      await nft.commit(new Transaction().flushSet(endpoints));
      expect(await nft.readElements(endpoints)).toEqual([]);
    });

    it("gives rules stable handles, replaces and deletes by them", async () => {
      await nft.commit(example.load);
      const { mark } = example.chains;
      const before = (await nft.readTable(example.table))?.rules.get(mark.name) ?? [];
      const [first, second] = before;
      if (first?.handle === undefined || second?.handle === undefined) throw new Error("no handles");
      await nft.commit(
        new Transaction().replaceRule({
          chain: mark,
          statements: [{ kind: "counter" }],
          handle: first.handle,
        }),
      );
      await nft.commit(
        new Transaction().insertRule({
          chain: mark,
          statements: [{ kind: "log", prefix: "x" }],
        }),
      );
      const after = (await nft.readTable(example.table))?.rules.get(mark.name) ?? [];
      expect(after.map(ruleText)).toEqual(['log prefix "x"', "counter", ruleText(second)]);
      expect(after[2]?.handle).toBe(second.handle);
      await nft.commit(new Transaction().deleteRule({ ...second, handle: second.handle }));
      expect((await nft.readTable(example.table))?.rules.get(mark.name)).toHaveLength(2);
    });

    it("gives back the origins of rules and elements", async () => {
      await nft.commit(example.load);
      const state = await nft.readTable(example.table);
      const rule = state?.rules.get("mark-masquerade")?.find(({ comment }) => comment !== undefined);
      expect(nft.origins.rule(family, example.table.name, "mark-masquerade", rule?.handle ?? 0n)?.name).toBe("mark");
      for (const element of state?.elements.get("endpoints") ?? []) {
        expect(nft.origins.element(family, example.table.name, "endpoints", element.key)?.name).toMatch(/^index-\d$/);
      }
      await nft.commit(new Transaction().flushSet(example.sets.endpoints));
      const key = concat(example.virtual, hostU32(0));
      expect(nft.origins.element(family, example.table.name, "endpoints", key)).toBeUndefined();
    });

    it("refuses a transaction as a whole and names the object", async () => {
      await nft.commit(example.load);
      const { endpoints, hairpin } = example.sets;
      const key = concat(example.virtual, hostU32(0));
      const conflicting = new Transaction().flushSet(hairpin).addElements(endpoints, [
        {
          key: concat(example.virtual, hostU32(7)),
          data: example.endpoint(7),
        },
        { key, data: example.endpoint(8) },
      ]);
      const error = await nft.commit(conflicting).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(NftError);
      expect(error).toMatchObject({
        code: "EEXIST",
        committedSends: 0,
        element: { key },
      });
      expect((error as NftError).message).toContain("endpoints { ");
      expect(await nft.readElements(hairpin)).toHaveLength(1);
      expect(await nft.readElements(endpoints)).toHaveLength(2);
    });

    it("refuses a rule for a missing chain, a used chain's removal, a missing element's removal", async () => {
      await nft.commit(example.load);
      const missing = { table: example.table, name: "nowhere" };
      const code = (transaction: Transaction) =>
        nft.commit(transaction).then(
          () => "none",
          (error: NftError) => error.code,
        );
      expect(await code(new Transaction().addRule({ chain: missing, statements: [] }))).toBe("ENOENT");
      expect(await code(new Transaction().flushChain(example.chains.pick).deleteChain(example.chains.pick))).toBe(
        "EBUSY",
      );
      expect(
        await code(
          new Transaction().deleteElements(example.sets.hairpin, [{ key: new Uint8Array(family === "ip" ? 8 : 32) }]),
        ),
      ).toBe("ENOENT");
      const jumping = new Transaction().addElements(example.sets.services, [
        {
          key: concat(example.virtual.map((b) => b ^ 1)),
          data: { kind: "goto", chain: "nowhere" },
        },
      ]);
      expect(await code(jumping)).toBe("ENOENT");
    });

    it("works through commits in order, also after a refused one", async () => {
      const { table } = example;
      const results = await Promise.allSettled([
        nft.commit(new Transaction().addTable(table)),
        nft.commit(new Transaction().deleteChain({ table, name: "none" })),
        nft.commit(new Transaction().addChain({ table, name: "last" })),
      ]);
      expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect((await nft.readTable(table))?.chains.map(({ name: chain }) => chain)).toEqual(["last"]);
    });
  });
}
