import { describe, expect, it } from "vitest";
import { bridgeFiltering } from "./bridgeFiltering.ts";

describe("bridge filtering", () => {
  it("is on, off, or missing with the command that mends it", () => {
    expect(bridgeFiltering(() => "1\n").map(({ state, problem }) => [state, problem])).toEqual([
      ["on", undefined],
      ["on", undefined],
    ]);
    expect(bridgeFiltering(() => "0\n")[1]?.problem).toContain("sysctl -w net.bridge.bridge-nf-call-ip6tables=1");
    const missing = bridgeFiltering(() => {
      throw new Error("ENOENT");
    });
    expect(missing[0]).toMatchObject({ family: "ip", state: "missing" });
    expect(missing[0]?.problem).toContain("modprobe br_netfilter");
  });
});
