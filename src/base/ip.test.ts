import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AddressError,
  cidrBase,
  cidrContains,
  cidrLast,
  cidrMask,
  cidrNetwork,
  cidrNth,
  cidrSize,
  cidrSubnet,
  cidrsOverlap,
  compareIp,
  formatCidr,
  formatIp,
  ipAdd,
  ipEquals,
  ipFromBigInt,
  ipToBigInt,
  isLoopback,
  parseCidr,
  parseIp,
  parseNetwork,
  tryParseIp,
} from "./ip.ts";

const seed = { seed: 20240601, numRuns: 500 };
const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ({ family: 4 as const, bytes }));
const ip6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 })), { minLength: 16, maxLength: 16 })
  .map((bytes) => ({ family: 6 as const, bytes: Uint8Array.from(bytes) }));
const ip = fc.oneof(ip4, ip6);
const cidr = ip.chain((address) =>
  fc.integer({ min: 0, max: address.family === 4 ? 32 : 128 }).map((prefix) => ({ ip: address, prefix })),
);

describe("addresses", () => {
  it.each([
    ["10.244.1.2", "10.244.1.2"],
    ["0.0.0.0", "0.0.0.0"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["fe80::", "fe80::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ])("reads %s and writes it as RFC 5952 %s", (text, canonical) => {
    expect(formatIp(parseIp(text))).toBe(canonical);
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.a",
    "1.2.3.-4",
    " 1.2.3.4",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "::g",
    "fe80::1%eth0",
    ":::",
    "1:2:3:4:5:6:7::8::",
    "1.2.3.4::",
  ])("refuses %j", (text) => {
    expect(() => parseIp(text)).toThrow(AddressError);
    expect(tryParseIp(text)).toBeUndefined();
  });

  it("knows loopback", () => {
    expect(["127.0.0.1", "127.9.9.9", "::1"].map(isLoopback)).toEqual([true, true, true]);
    expect(["128.0.0.1", "10.127.0.1", "::2", "fd00::1"].map(isLoopback)).toEqual([false, false, false, false]);
  });

  it("returns what it wrote (property)", () => {
    fc.assert(
      fc.property(ip, (a) => ipEquals(parseIp(formatIp(a)), a)),
      seed,
    );
  });

  it("agrees with numbers, adds and orders by them (property)", () => {
    fc.assert(
      fc.property(ip, ip, fc.integer({ min: -1000, max: 1000 }), (a, b, n) => {
        expect(ipEquals(ipFromBigInt(a.family, ipToBigInt(a)), a)).toBe(true);
        expect(ipEquals(ipAdd(ipAdd(a, n), -n), a)).toBe(true);
        if (a.family === b.family)
          expect(Math.sign(compareIp(a, b))).toBe(
            Number(ipToBigInt(a) - ipToBigInt(b) > 0n) - Number(ipToBigInt(a) - ipToBigInt(b) < 0n),
          );
      }),
      seed,
    );
  });
});

describe("networks", () => {
  it.each([
    ["10.0.0.0", "no prefix length"],
    ["10.0.0.0/33", "0-32"],
    ["10.0.0.0/", "0-32"],
    ["10.0.0.0/08", "0-32"],
    ["::/129", "0-128"],
    ["10.0.0/8", "not an IP address"],
  ])("refuses %j, saying %j", (text, reason) => {
    expect(() => parseCidr(text)).toThrow(reason);
  });

  it("U03 names the network when host bits are set (part: CIDRs)", () => {
    expect(() => parseNetwork("192.168.1.10/24")).toThrow("the network is 192.168.1.0/24");
    expect(formatCidr(parseNetwork("192.168.1.0/24"))).toBe("192.168.1.0/24");
  });

  it("gives first, last, mask, n-th and subnets", () => {
    const net = parseCidr("10.32.5.1/12");
    expect(formatIp(cidrBase(net))).toBe("10.32.0.0");
    expect(formatIp(cidrLast(net))).toBe("10.47.255.255");
    expect(formatIp(cidrMask(net))).toBe("255.240.0.0");
    expect(formatCidr(cidrNetwork(net))).toBe("10.32.0.0/12");
    expect(formatIp(cidrNth(net, 257))).toBe("10.32.1.1");
    expect(formatIp(cidrNth(net, -2))).toBe("10.47.255.254");
    expect(() => cidrNth(parseCidr("10.0.0.0/30"), 4)).toThrow(RangeError);
    expect(formatCidr(cidrSubnet(parseCidr("10.244.0.0/16"), 24, 3))).toBe("10.244.3.0/24");
    expect(formatCidr(cidrSubnet(parseCidr("fd00:10:244::/56"), 64, 255))).toBe("fd00:10:244:ff::/64");
    expect(() => cidrSubnet(parseCidr("10.244.0.0/16"), 24, 256)).toThrow(RangeError);
  });

  it("contains exactly the addresses between first and last (property)", () => {
    fc.assert(
      fc.property(cidr, ip, (net, address) => {
        const inside =
          net.ip.family === address.family &&
          compareIp(cidrBase(net), address) <= 0 &&
          compareIp(address, cidrLast(net)) <= 0;
        expect(cidrContains(net, address)).toBe(inside);
        expect(cidrSize(net)).toBe(ipToBigInt(cidrLast(net)) - ipToBigInt(cidrBase(net)) + 1n);
      }),
      seed,
    );
  });

  it("overlaps exactly when an end of one lies in the other (property)", () => {
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const expected = cidrContains(a, cidrBase(b)) || cidrContains(b, cidrBase(a));
        expect(cidrsOverlap(a, b)).toBe(expected);
        expect(cidrsOverlap(b, a)).toBe(expected);
      }),
      seed,
    );
  });
});
