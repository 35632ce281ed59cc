import { rtnetlinkCompliance } from "#test/compliance/rtnetlink.ts";
import { FakeNetwork } from "./fake.ts";

rtnetlinkCompliance("fake", () => {
  const network = new FakeNetwork();
  return { newNamespace: () => network.newNamespace(), open: (netns) => network.open(netns), close: () => {} };
});
