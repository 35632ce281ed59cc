import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NetlinkError, type Operation, ROUTE_PROTOCOL_PODWIRE, type Rtnetlink } from "#kernel/netlink/index.ts";

/** What the suite needs: fresh namespaces and route netlink in them. */
export interface RtnetlinkHarness {
  newNamespace(): { readonly fd: number };
  open(netns: { readonly fd: number }): Rtnetlink;
  close(): void;
}

const ours = { protocol: ROUTE_PROTOCOL_PODWIRE };
const up = (index: number): Operation => ({ op: "set-link", index, up: true });
const bridge = (name: string, index: number): Operation => ({
  op: "add-link",
  name,
  index,
  kind: { type: "bridge" },
  up: true,
});

/** One suite for the kernel and the fake: what both promise. */
export function rtnetlinkCompliance(name: string, start: () => RtnetlinkHarness): void {
  describe(`route netlink: ${name}`, () => {
    let harness: RtnetlinkHarness;
    let here: { readonly fd: number };
    let there: { readonly fd: number };
    let a: Rtnetlink;
    let b: Rtnetlink;
    beforeEach(() => {
      harness = start();
      here = harness.newNamespace();
      there = harness.newNamespace();
      a = harness.open(here);
      b = harness.open(there);
    });
    afterEach(() => {
      a.close();
      b.close();
      harness.close();
    });

    /** The error code of operations, "" when they work, and the position of the one refused. */
    const refusal = (rtnl: Rtnetlink, ...operations: Operation[]): string => {
      try {
        rtnl.apply(operations);
        return "";
      } catch (error) {
        if (error instanceof NetlinkError) return `${error.code} at ${error.index}`;
        throw error;
      }
    };

    it("starts with a loopback that is down", () => {
      expect(a.links()).toMatchObject([{ index: 1, name: "lo", up: false, mtu: 65536 }]);
    });

    it("makes devices, and finds them by name, index and alternative name", () => {
      a.apply([{ op: "add-link", name: "br0", index: 7, kind: { type: "bridge" }, mac: "02:00:00:00:00:07" }]);
      a.apply([{ op: "add-altname", index: 7, altName: "a-name-longer-than-fifteen" }]);
      const wanted = {
        index: 7,
        name: "br0",
        kind: { type: "bridge" },
        mac: "02:00:00:00:00:07",
        up: false,
        master: 0,
        altNames: ["a-name-longer-than-fifteen"],
      };
      expect(a.link({ name: "br0" })).toMatchObject(wanted);
      expect(a.link({ index: 7 })).toMatchObject(wanted);
      expect(a.link({ name: "a-name-longer-than-fifteen" })).toMatchObject(wanted);
      expect(a.link({ name: "br1" })).toBeUndefined();
      expect(a.link({ index: 8 })).toBeUndefined();
      expect(refusal(a, bridge("br0", 0))).toBe("EEXIST at 0");
    });

    it("makes a veth pair across namespaces in one message, and removes both ends with one", () => {
      a.apply([bridge("br0", 3)]);
      a.apply([
        {
          op: "add-link",
          name: "v1",
          index: 10,
          up: true,
          master: 3,
          mtu: 1400,
          kind: { type: "veth", peer: { name: "eth0", index: 2, netns: there.fd, mtu: 1400 } },
        },
      ]);
      expect(a.link({ index: 10 })).toMatchObject({
        name: "v1",
        master: 3,
        mtu: 1400,
        up: true,
        carrier: false,
        kind: { type: "veth" },
      });
      expect(b.link({ index: 2 })).toMatchObject({ name: "eth0", mtu: 1400, up: false });
      b.apply([up(2)]);
      expect(a.link({ index: 10 })?.carrier).toBe(true);
      expect(
        refusal(a, { op: "add-link", name: "v2", kind: { type: "veth", peer: { name: "eth0", netns: there.fd } } }),
      ).toBe("EEXIST at 0");
      expect(a.link({ name: "v2" })).toBeUndefined();
      b.apply([{ op: "delete-link", index: 2 }]);
      expect(a.link({ index: 10 })).toBeUndefined();
    });

    it("changes devices", () => {
      a.apply([
        bridge("br0", 3),
        { op: "add-link", name: "v1", index: 10, kind: { type: "veth", peer: { name: "v2", index: 11 } } },
      ]);
      a.apply([{ op: "set-link", index: 10, name: "w1", mtu: 1300, mac: "02:00:00:00:00:10", master: 3, up: true }]);
      expect(a.link({ index: 10 })).toMatchObject({
        name: "w1",
        mtu: 1300,
        mac: "02:00:00:00:00:10",
        master: 3,
        up: true,
      });
      a.apply([
        { op: "set-bridge-port", index: 10, hairpin: true },
        { op: "set-link", index: 10, master: 0, up: false },
      ]);
      expect(a.link({ index: 10 })).toMatchObject({ master: 0, up: false });
      a.apply([{ op: "set-link", index: 11, netns: there.fd }]);
      expect(a.link({ name: "v2" })).toBeUndefined();
      expect(b.link({ name: "v2" })?.kind.type).toBe("veth");
      expect(refusal(a, up(99))).toBe("ENODEV at 0");
    });

    it("removes a group of devices at once", () => {
      a.apply(
        [1, 2, 3].map(
          (i): Operation => ({
            op: "add-link",
            name: `b${i}`,
            index: 20 + i,
            group: i < 3 ? 77 : 0,
            kind: { type: "bridge" },
          }),
        ),
      );
      a.apply([{ op: "delete-group", group: 77 }]);
      expect(a.links().map((link) => link.name)).toEqual(["lo", "b3"]);
    });

    it("keeps addresses of both families, once each", () => {
      a.apply([
        bridge("br0", 3),
        { op: "add-address", index: 3, address: "10.1.0.1/24" },
        { op: "add-address", index: 3, address: "fd00::1/64" },
      ]);
      const addresses = () =>
        a
          .addresses(3)
          .map(({ address }) => address)
          .filter((address) => !address.startsWith("fe80:"));
      expect(addresses()).toEqual(["10.1.0.1/24", "fd00::1/64"]);
      expect(refusal(a, { op: "add-address", index: 3, address: "10.1.0.1/24" })).toBe("EEXIST at 0");
      a.apply([{ op: "delete-address", index: 3, address: "10.1.0.1/24" }]);
      expect(addresses()).toEqual(["fd00::1/64"]);
      expect(refusal(a, { op: "delete-address", index: 3, address: "10.9.0.1/24" })).toBe("EADDRNOTAVAIL at 0");
    });

    it("takes routes by a gateway that is on a device's network, or said to be", () => {
      a.apply([bridge("br0", 3), { op: "add-address", index: 3, address: "10.1.0.1/24" }]);
      a.apply([{ op: "add-route", dst: "0.0.0.0/0", via: "10.1.0.254" }]);
      expect(a.routes(ours)).toEqual([
        { dst: "0.0.0.0/0", via: "10.1.0.254", index: 3, metric: 0, table: 254, protocol: 112, type: "unicast" },
      ]);
      expect(refusal(a, { op: "add-route", dst: "10.5.0.0/16", via: "10.2.0.1" })).toBe("ENETUNREACH at 0");
      a.apply([{ op: "add-route", dst: "10.5.0.0/16", via: "10.2.0.1", index: 3, onlink: true }]);
      expect(a.routes(ours)).toHaveLength(2);
      expect(refusal(a, { op: "add-route", dst: "10.5.0.0/16", via: "10.1.0.9" })).toBe("EEXIST at 0");
      a.apply([{ op: "add-route", dst: "10.5.0.0/16", via: "10.1.0.9", replace: true }]);
      expect(a.routes(ours).find((route) => route.dst === "10.5.0.0/16")?.via).toBe("10.1.0.9");
      a.apply([{ op: "delete-route", dst: "10.5.0.0/16" }]);
      expect(refusal(a, { op: "delete-route", dst: "10.5.0.0/16" })).toBe("ESRCH at 0");
      expect(() => a.apply([{ op: "add-route", dst: "10.5.0.1/16", via: "10.1.0.9" }])).toThrow(
        "the network is 10.5.0.0/16",
      );
    });

    it("drops routes with their device, and when it goes down", () => {
      const routes: Operation[] = [
        up(3),
        { op: "add-route", dst: "10.5.0.0/16", via: "10.1.0.254" },
        { op: "add-route", dst: "fd05::/64", via: "fd00::fe" },
      ];
      a.apply([
        bridge("br0", 3),
        { op: "add-address", index: 3, address: "10.1.0.1/24" },
        { op: "add-address", index: 3, address: "fd00::1/64" },
        ...routes,
      ]);
      expect(a.routes(ours).map((route) => `${route.dst} ${route.metric}`)).toEqual([
        "10.5.0.0/16 0",
        "fd05::/64 1024",
      ]);
      a.apply([{ op: "set-link", index: 3, up: false }]);
      expect(a.routes(ours)).toEqual([]);
      a.apply([{ op: "delete-link", index: 3 }]);
      expect(a.addresses()).toEqual([]);
    });

    it("keeps a vxlan device with its neighbours and forwarding entries", () => {
      a.apply([bridge("br0", 3), { op: "add-address", index: 3, address: "192.168.1.1/24" }]);
      a.apply([
        {
          op: "add-link",
          name: "flannel.1",
          index: 4,
          mac: "02:00:00:00:00:04",
          mtu: 1450,
          up: true,
          kind: { type: "vxlan", id: 1, link: 3, local: "192.168.1.1" },
        },
      ]);
      expect(a.link({ index: 4 })).toMatchObject({
        mtu: 1450,
        kind: { type: "vxlan", id: 1, link: 3, local: "192.168.1.1", port: 8472, learning: false },
      });
      a.apply([
        { op: "add-neighbour", index: 4, ip: "10.244.2.0", mac: "02:00:00:00:00:99" },
        { op: "add-fdb", index: 4, mac: "02:00:00:00:00:99", dst: "192.168.1.2" },
        { op: "add-neighbour", index: 4, ip: "10.244.2.0", mac: "02:00:00:00:00:98" },
        { op: "add-fdb", index: 4, mac: "02:00:00:00:00:99", dst: "192.168.1.3" },
      ]);
      expect(a.neighbours(4).filter(({ state }) => state === "permanent")).toEqual([
        { index: 4, ip: "10.244.2.0", mac: "02:00:00:00:00:98", state: "permanent" },
      ]);
      expect(a.fdb(4).filter(({ dst }) => dst !== undefined)).toEqual([
        { index: 4, mac: "02:00:00:00:00:99", dst: "192.168.1.3" },
      ]);
      a.apply([
        { op: "delete-neighbour", index: 4, ip: "10.244.2.0" },
        { op: "delete-fdb", index: 4, mac: "02:00:00:00:00:99", dst: "192.168.1.3" },
      ]);
      expect(refusal(a, { op: "delete-fdb", index: 4, mac: "02:00:00:00:00:99", dst: "192.168.1.3" })).toBe(
        "ENOENT at 0",
      );
    });

    it("does what it can of a batch, and names the first refusal", () => {
      expect(refusal(a, bridge("br0", 3), bridge("br0", 4), bridge("br1", 5), up(99))).toBe("EEXIST at 1");
      expect(a.links().map((link) => link.name)).toEqual(["lo", "br0", "br1"]);
      try {
        a.apply([up(98), up(3), up(99)]);
      } catch (error) {
        expect((error as NetlinkError).failures.map(({ index }) => index)).toEqual([0, 2]);
        expect((error as NetlinkError).message).toBe("ip link set dev #98 up: ENODEV (and 1 more)");
      }
    });

    it("gives back the origin of what was made, until it is removed", () => {
      const origin = { kind: "Node", name: "node02" };
      a.apply([bridge("br0", 3), { op: "add-address", index: 3, address: "10.1.0.1/24", origin }]);
      a.apply([
        { op: "add-route", dst: "10.5.0.0/16", via: "10.1.0.254", origin },
        { op: "add-neighbour", index: 3, ip: "10.1.0.254", mac: "02:00:00:00:00:99", origin },
      ]);
      const [route] = a.routes(ours);
      expect(route && a.origins.route(route)).toEqual(origin);
      const entry = a.neighbours(3).find(({ state }) => state === "permanent");
      expect(entry && a.origins.neighbour(entry)).toEqual(origin);
      expect(a.origins.address({ index: 3, address: "10.1.0.1/24" })).toEqual(origin);
      expect(refusal(a, { op: "add-route", dst: "10.6.0.0/16", via: "10.9.0.1", origin })).toBe("ENETUNREACH at 0");
      expect(a.origins.route({ dst: "10.6.0.0/16" })).toBeUndefined();
      a.apply([{ op: "delete-route", dst: "10.5.0.0/16" }]);
      expect(a.origins.route({ dst: "10.5.0.0/16" })).toBeUndefined();
      a.adopt([{ op: "add-route", dst: "10.7.0.0/16", origin }]);
      expect(a.origins.route({ dst: "10.7.0.0/16" })).toEqual(origin);
    });
  });
}
