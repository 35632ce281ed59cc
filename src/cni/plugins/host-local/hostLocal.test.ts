import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cidrContains, formatIp, parseCidr, parseIp } from "#base/ip.ts";
import { lockFile } from "#kernel/locks/index.ts";
import type { JsonObject } from "../../config/json.ts";
import type { PluginCall } from "../../plugin.ts";
import { hostLocalPlugin } from "./index.ts";
import { candidates, parseRangeSets } from "./ranges.ts";

let dataDir: string;
const plugin = hostLocalPlugin({ lock: lockFile });
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "podwire-hostlocal-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

function call(containerId: string, ipam: JsonObject, extra: Partial<PluginCall> = {}): PluginCall {
  return {
    containerId,
    netns: "",
    ifName: "eth0",
    args: {},
    path: [],
    networkName: "mynet",
    cniVersion: "1.0.0",
    config: { type: "bridge", ipam: { type: "host-local", dataDir, ...ipam } },
    ...extra,
  };
}

const small = { subnet: "10.22.0.0/29" };
const addressOf = async (id: string, ipam: JsonObject = small, extra: Partial<PluginCall> = {}) =>
  (await plugin.add(call(id, ipam, extra))).ips[0]?.address;
const files = () => readdirSync(join(dataDir, "mynet")).sort();

describe("N07 host-local (part: not DHCP)", () => {
  it("frees no address that another program has given to somebody else meanwhile, and finds what it wrote", async () => {
    expect(await addressOf("a")).toBe("10.22.0.2/29");
    expect(await addressOf("b")).toBe("10.22.0.3/29");
    // Another program works on the same directory: a's address is c's now.
    writeFileSync(join(dataDir, "mynet", "10.22.0.2"), "c\r\neth0");
    await plugin.del(call("a", small));
    expect(files()).toContain("10.22.0.2");
    await expect(plugin.check(call("c", small))).resolves.toBeUndefined();
    await plugin.del(call("c", small));
    expect(files()).not.toContain("10.22.0.2");
    expect(files()).toContain("10.22.0.3");
  });

  it("keeps a file per address, as the reference plugin does", async () => {
    const result = await plugin.add(call("c1", { ...small, routes: [{ dst: "0.0.0.0/0" }] }));
    expect(result).toEqual({
      interfaces: [],
      ips: [{ address: "10.22.0.2/29", gateway: "10.22.0.1" }],
      routes: [{ dst: "0.0.0.0/0" }],
      dns: {},
    });
    expect(files()).toEqual(["10.22.0.2", "last_reserved_ip.0", "lock"]);
    expect(readFileSync(join(dataDir, "mynet/10.22.0.2"), "utf8")).toBe("c1\r\neth0");
    expect(readFileSync(join(dataDir, "mynet/last_reserved_ip.0"), "utf8")).toBe("10.22.0.2");
    await plugin.check(call("c1", small));
    await plugin.del(call("c1", small));
    await plugin.del(call("c1", small));
    expect(files()).toEqual(["last_reserved_ip.0", "lock"]);
    await expect(plugin.check(call("c1", small))).rejects.toThrow("failed to find address added by container c1");
  });

  it("goes round the range, gives no gateway, network or broadcast address, and says when all are gone", async () => {
    const given: (string | undefined)[] = [];
    for (let i = 0; i < 5; i++) given.push(await addressOf(`c${i}`));
    expect(given).toEqual([2, 3, 4, 5, 6].map((n) => `10.22.0.${n}/29`));
    await plugin.del(call("c0", small));
    await plugin.status(call("x", small));
    expect(await addressOf("c6")).toBe("10.22.0.2/29");
    await expect(addressOf("c7")).rejects.toThrow("no IP addresses available in range set: 10.22.0.1-10.22.0.6");
    await expect(plugin.status(call("x", small))).rejects.toThrow("no IP addresses available");
    // The next one after the last given out, not the lowest free.
    await plugin.del(call("c3", small));
    await plugin.del(call("c6", small));
    expect(await addressOf("c8")).toBe("10.22.0.5/29");
  });

  it("takes an address of each range set: dual stack, several ranges, bounds", async () => {
    const ranges = [
      [
        { subnet: "10.1.0.0/24", rangeStart: "10.1.0.9", rangeEnd: "10.1.0.9" },
        { subnet: "10.2.0.0/24", gateway: "10.2.0.254" },
      ],
      [{ subnet: "fd00::/64" }],
    ];
    const ips = async (id: string) => (await plugin.add(call(id, { ranges }))).ips;
    expect(await ips("a")).toEqual([
      { address: "10.1.0.9/24", gateway: "10.1.0.1" },
      { address: "fd00::2/64", gateway: "fd00::1" },
    ]);
    expect((await ips("b")).map((ip) => ip.address)).toEqual(["10.2.0.1/24", "fd00::3/64"]);
    expect(files()).toEqual([
      "10.1.0.9",
      "10.2.0.1",
      "fd00::2",
      "fd00::3",
      "last_reserved_ip.0",
      "last_reserved_ip.1",
      "lock",
    ]);
  });

  it("gives the address asked for, or says that it cannot", async () => {
    expect(await addressOf("a", small, { args: { IP: "10.22.0.5" } })).toBe("10.22.0.5/29");
    await expect(addressOf("b", small, { args: { IP: "10.22.0.5" } })).rejects.toThrow(
      "requested IP address 10.22.0.5 is not available",
    );
    await expect(addressOf("b", small, { args: { IP: "10.23.0.5" } })).rejects.toThrow(
      "requested address 10.23.0.5 is in none of the ranges",
    );
    await expect(addressOf("b", small, { args: { IP: "10.22.0.1" } })).rejects.toThrow("in none of the ranges");
    expect(files()).toEqual(["10.22.0.5", "lock"]);
  });

  it("refuses a second address for the same interface", async () => {
    await addressOf("a");
    await expect(addressOf("a")).rejects.toThrow(
      "10.22.0.2 has been allocated to a/eth0, duplicate allocation is not allowed",
    );
    expect(await addressOf("a", small, { ifName: "net1" })).toBe("10.22.0.3/29");
  });

  it.each([
    [{}, "no IP ranges specified"],
    [{ subnet: "10.22.0.1/16" }, "the network is 10.22.0.0/16"],
    [{ subnet: "10.22.0.0/31" }, "too small to allocate from"],
    [{ subnet: "10.22.0.0/16", rangeStart: "10.23.0.1" }, "rangeStart 10.23.0.1 is not in 10.22.0.0/16"],
    [{ subnet: "10.22.0.0/16", rangeStart: "10.22.0.9", rangeEnd: "10.22.0.2" }, "rangeStart is after rangeEnd"],
    [{ ranges: [[{ subnet: "10.1.0.0/16" }], [{ subnet: "10.1.2.0/24" }]] }, "overlap"],
    [{ ranges: [[{ subnet: "10.1.0.0/16" }, { subnet: "fd00::/64" }]] }, "mixed address families"],
  ])("refuses %j: %s", async (ipam, message) => {
    await expect(addressOf("a", ipam as JsonObject)).rejects.toThrow(message);
  });

  it("gives no address twice to parallel calls", async () => {
    const ids = Array.from({ length: 60 }, (_, i) => `c${i}`);
    const given = await Promise.all(ids.map((id) => addressOf(id, { subnet: "10.22.0.0/25" })));
    expect(new Set(given).size).toBe(60);
  });

  it("gives no address twice after crashes at any moment: what was begun is lost or has an owner", async () => {
    await addressOf("a");
    // A crash after the draft, after the address, or after losing the last-reserved file.
    writeFileSync(join(dataDir, "mynet/.draft-1-abcd"), "b\r\neth0");
    writeFileSync(join(dataDir, "mynet/10.22.0.3"), "b\r\neth0");
    rmSync(join(dataDir, "mynet/last_reserved_ip.0"));
    expect(await addressOf("c")).toBe("10.22.0.4/29");
    await plugin.del(call("b", small));
    const valid = call("", small, {
      config: { ...call("", small).config, "cni.dev/valid-attachments": [{ containerID: "c", ifname: "eth0" }] },
    });
    await plugin.gc(valid);
    expect(files().filter((name) => name.startsWith("10."))).toEqual(["10.22.0.4"]);
  });

  it("walks each address of a set once, wherever it begins (property)", () => {
    const set = parseRangeSets({
      ranges: [[{ subnet: "10.0.0.0/28" }, { subnet: "10.1.0.0/29", rangeEnd: "10.1.0.4" }]],
    })[0];
    if (!set) throw new Error("no set");
    fc.assert(
      fc.property(fc.option(fc.integer({ min: 0, max: 15 })), (n) => {
        const last = n === null ? undefined : parseIp(`10.0.0.${n}`);
        const walked = [...candidates(set, last)].map(({ ip }) => formatIp(ip));
        expect(new Set(walked).size).toBe(walked.length);
        expect(walked).toHaveLength(13 + 3);
        const nets = ["10.0.0.0/28", "10.1.0.0/29"].map(parseCidr);
        expect(walked.every((text) => nets.some((net) => cidrContains(net, parseIp(text))))).toBe(true);
      }),
      { seed: 7, numRuns: 60 },
    );
  });
});
