import { describe, expect, it } from "vitest";
import { macOf, nextAddress } from "./addresses.ts";

describe("C03 addresses of docker0's network (part: leases)", () => {
  it("are given in order, and again when they are free", () => {
    expect(nextAddress([])).toBe("172.17.0.2");
    expect(nextAddress(["172.17.0.2", "172.17.0.3"])).toBe("172.17.0.4");
    expect(nextAddress(["172.17.0.3"])).toBe("172.17.0.2");
    const first254 = Array.from({ length: 254 }, (_, i) => `172.17.0.${i + 2}`);
    expect(nextAddress(first254)).toBe("172.17.1.0");
  });

  it("are 65,533 besides the bridge's, the network's and the broadcast's", () => {
    const all = Array.from({ length: 65_536 }, (_, i) => `172.17.${i >> 8}.${i & 255}`);
    const last = all.filter((address) => address !== "172.17.255.254");
    expect(nextAddress(last)).toBe("172.17.255.254");
    expect(() => nextAddress(all.slice(1, -1))).toThrow("no available IPv4 addresses");
  });

  it("make the MAC address", () => expect(macOf("172.17.0.10")).toBe("02:42:ac:11:00:0a"));
});
