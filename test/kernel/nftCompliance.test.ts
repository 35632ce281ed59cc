import { inNetns, newNetns } from "#kernel/namespaces/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import { describeNftables } from "#kernel/nft/testing/compliance.ts";

describeNftables("the kernel's nftables", () => {
  const netns = newNetns();
  return {
    nft: inNetns(netns, () => openNftables()),
    close: () => netns.close(),
  };
});
