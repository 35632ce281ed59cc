import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { FakeNftables, type Table, Transaction } from "#kernel/nft/index.ts";
import { cleanUpstream } from "./cleanup.ts";
import { checkRights, mayHaveLeft } from "./modes.ts";

describe("V04 what upstream's kube-proxy left (part: tables of its nftables mode)", () => {
  it("they go, which is said; tables of others with like names stay", async () => {
    const nft = new FakeNftables();
    const tables = ["ip kube-proxy", "ip6 kube-proxy", "inet kube-proxy", "ip kube-proxy-extra", "ip podwire-services"];
    const transaction = new Transaction();
    for (const text of tables) {
      const [family, name = ""] = text.split(" ") as ["ip" | "ip6" | "inet", string];
      transaction.addTable({ family, name });
    }
    await nft.commit(transaction);
    const lines: string[] = [];
    const log = createLogger("kube-proxy", { write: (line) => lines.push(line) });
    await cleanUpstream({ nft, log });
    expect((await nft.listTables()).map(({ family, name }) => `${family} ${name}`).sort()).toEqual([
      ...["inet kube-proxy", "ip kube-proxy-extra", "ip podwire-services"],
    ]);
    expect(lines.join("")).toContain('"Rules of upstream\'s kube-proxy are removed" tables=["ip","ip6"]');
    lines.length = 0;
    await cleanUpstream({ nft, log });
    expect(lines).toEqual([]);
  });
});

describe("V04 whether the iptables mode may have left rules (part: tables of others)", () => {
  it("a table of that name is none of it, a proxy's chain in it is", async () => {
    const left = async (...chains: string[]) => {
      const nft = new FakeNftables();
      const table = { family: "ip", name: "nat" } as const;
      const transaction = new Transaction();
      if (chains.length) transaction.addTable(table);
      for (const name of chains) transaction.addChain({ table, name });
      await nft.commit(transaction);
      return await mayHaveLeft("iptables", nft);
    };
    // This machine itself may have tables of the older form.
    expect(await left("DOCKER", "KUBE-KUBELET-CANARY")).toBe(await left());
    expect(await left("DOCKER", "KUBE-SERVICES")).toBe(true);
    expect(await left("KUBE-SVC-AAAAAAAAAAAAAAAA")).toBe(true);
  });
});

describe("V04 a node whose kernel lists no tables of nftables (part: what that ends)", () => {
  class RefusingNftables extends FakeNftables {
    readonly #code: string;

    constructor(code: string) {
      super();
      this.#code = code;
    }

    override async listTables(): Promise<Table[]> {
      throw Object.assign(new Error(this.#code), { code: this.#code });
    }
  }

  it("without CAP_NET_ADMIN no mode can run", async () => {
    await expect(checkRights(new RefusingNftables("EPERM"))).rejects.toThrow("need CAP_NET_ADMIN");
  });

  it("without nf_tables the iptables mode can, and its rules are looked for", async () => {
    const nft = new RefusingNftables("EPROTONOSUPPORT");
    await checkRights(nft);
    // This machine itself may have tables of the older form.
    expect(await mayHaveLeft("iptables", nft)).toBe(await mayHaveLeft("iptables", new FakeNftables()));
    await expect(mayHaveLeft("ipvs", nft)).rejects.toThrow("EPROTONOSUPPORT");
  });
});
