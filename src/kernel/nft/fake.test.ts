import { FakeNftables } from "./fake.ts";
import { describeNftables } from "./testing/compliance.ts";

describeNftables("fake nftables", () => ({
  nft: new FakeNftables(),
  close() {},
}));
