import { describe, expect, it } from "vitest";
import { SUPPORTED_VERSIONS } from "./config/versions.ts";
import { type CniResult, parseResult, resultJson } from "./result.ts";

const result: CniResult = {
  interfaces: [
    { name: "cni0" },
    { name: "veth1" },
    { name: "eth0", mac: "02:00:00:00:00:01", mtu: 1450, sandbox: "/run/netns/a" },
  ],
  ips: [
    { address: "10.22.0.2/16", gateway: "10.22.0.1", interface: 2 },
    { address: "fd00::2/64", gateway: "fd00::1", interface: 2 },
  ],
  routes: [{ dst: "0.0.0.0/0", gw: "10.22.0.1", mtu: 1400 }, { dst: "::/0" }],
  dns: { nameservers: ["10.96.0.10"] },
};

describe("N02 results of each version of the specification (part: results)", () => {
  it("writes ip4 and ip6 for 0.1.0 and 0.2.0", () => {
    expect(resultJson(result, "0.2.0")).toEqual({
      cniVersion: "0.2.0",
      ip4: { ip: "10.22.0.2/16", gateway: "10.22.0.1", routes: [{ dst: "0.0.0.0/0", gw: "10.22.0.1" }] },
      ip6: { ip: "fd00::2/64", gateway: "fd00::1", routes: [{ dst: "::/0" }] },
      dns: { nameservers: ["10.96.0.10"] },
    });
  });

  it("writes the version of each address before 1.0.0, and none since", () => {
    const ips = (version: string) =>
      (resultJson(result, version).ips as { version?: string }[]).map((ip) => ip.version);
    expect(ips("0.4.0")).toEqual(["4", "6"]);
    expect(ips("1.0.0")).toEqual([undefined, undefined]);
  });

  it("writes MTUs since 1.1.0", () => {
    expect(JSON.stringify(resultJson(result, "1.0.0"))).not.toContain("mtu");
    expect(parseResult(resultJson(result, "1.1.0"), "1.1.0")).toEqual(result);
  });

  it.each(SUPPORTED_VERSIONS)("reads its own results of %s", (version) => {
    const read = parseResult(resultJson(result, version), version);
    expect(read.ips.map((ip) => [ip.address, ip.gateway])).toEqual(result.ips.map((ip) => [ip.address, ip.gateway]));
    expect(read.routes.map((route) => [route.dst, route.gw])).toEqual(
      result.routes.map((route) => [route.dst, route.gw]),
    );
    expect(read.dns).toEqual(result.dns);
  });

  it("refuses what is no result", () => {
    expect(() => parseResult("x", "1.0.0")).toThrow("not a JSON object");
    expect(() => parseResult({ ips: [{ address: "10.0.0.1" }] }, "1.0.0")).toThrow("address is no CIDR: 10.0.0.1");
  });
});
