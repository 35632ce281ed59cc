import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inNetns, type Netns, newNetns } from "#kernel/namespaces/index.ts";
import { openNftables, ruleText } from "#kernel/nft/index.ts";
import { exampleTable } from "#kernel/nft/testing/example.ts";

// nft itself is the judge: it reads our text, and lists what we load by netlink.
const hasNft = (() => {
  try {
    execFileSync("nft", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasNft).each(["ip", "ip6"] as const)("nft and our text, family %s", (family) => {
  const example = exampleTable(family, family === "ip");
  let netns: Netns;
  let directory: string;
  const run = (...args: string[]) => inNetns(netns, () => execFileSync("nft", args, { encoding: "utf8" }));
  const load = (text: string) => {
    const file = join(directory, "rules.nft");
    writeFileSync(file, text);
    run("-f", file);
  };
  const listing = () => run("list", "ruleset");

  beforeAll(() => {
    netns = newNetns();
    directory = mkdtempSync(join(tmpdir(), "podwire-nft-"));
  });
  afterAll(() => {
    netns.close();
    rmSync(directory, { recursive: true });
  });

  it("reads the transaction's text, which makes the same rules as netlink does", async () => {
    load(example.load.toString());
    const nft = inNetns(netns, () => openNftables());
    const byText = await nft.readTable(example.table);
    const textListing = listing();
    for (const chain of Object.values(example.chains)) {
      const wanted = example.rules.filter((rule) => rule.chain === chain).map(ruleText);
      expect(byText?.rules.get(chain.name)?.map(ruleText)).toEqual(wanted);
    }
    run("flush", "ruleset");
    await nft.commit(example.load);
    nft.close();
    expect(listing()).toBe(textListing);
  });

  it("reads its own listing of what netlink loaded back", () => {
    const before = listing();
    expect(before).toContain("table");
    run("flush", "ruleset");
    load(before);
    expect(listing()).toBe(before);
  });
});
