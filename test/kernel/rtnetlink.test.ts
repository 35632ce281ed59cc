import { describe, expect, it } from "vitest";
import { type Netns, newNetns } from "#kernel/namespaces/index.ts";
import { type Operation, openRtnetlink } from "#kernel/netlink/index.ts";
import { rtnetlinkCompliance } from "#test/compliance/rtnetlink.ts";

rtnetlinkCompliance("kernel", () => {
  const open: Netns[] = [];
  return {
    newNamespace() {
      const netns = newNetns();
      open.push(netns);
      return netns;
    },
    open: openRtnetlink,
    close() {
      for (const netns of open) netns.close();
    },
  };
});

describe("route netlink of the kernel", () => {
  it("sends and reads back more than one buffer holds", () => {
    const netns = newNetns();
    const rtnl = openRtnetlink(netns);
    rtnl.apply([
      { op: "add-link", name: "br0", index: 3, kind: { type: "bridge" }, up: true },
      { op: "add-address", index: 3, address: "10.0.0.9/24" },
    ]);
    const routes = Array.from({ length: 4000 }, (_, i): Operation => {
      const dst = `10.${(i >> 8) + 1}.${i & 255}.0/24`;
      return {
        op: "add-route",
        dst,
        via: "10.0.0.1",
        index: 3,
        onlink: true,
        origin: { kind: "Node", name: String(i) },
      };
    });
    rtnl.apply(routes);
    const read = rtnl.routes({ protocol: 0x70 });
    expect(read).toHaveLength(4000);
    expect(read.every((route) => rtnl.origins.route(route) !== undefined)).toBe(true);
    // Each is refused: 4,000 errors come back.
    expect(() => rtnl.apply(routes)).toThrow("EEXIST (and 3999 more)");
    rtnl.close();
    netns.close();
  });

  it("gives the kernel's own explanation in the error", () => {
    const netns = newNetns();
    const rtnl = openRtnetlink(netns);
    expect(() => rtnl.apply([{ op: "add-route", dst: "10.0.0.0/8", via: "9.9.9.9" }])).toThrow(
      "ip route add 10.0.0.0/8 via 9.9.9.9: ENETUNREACH: Nexthop has invalid gateway",
    );
    rtnl.close();
    netns.close();
  });
});
