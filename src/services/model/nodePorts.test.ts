import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "#base/ip.ts";
import { nodePortAddresses } from "./nodePorts.ts";

const ips = (texts: string) => texts.split(" ").map(parseIp);
const node = {
  primary: ips("192.168.1.11 fd00:192::11"),
  all: ips("127.0.0.1 ::1 192.168.1.11 fd00:192::11 10.244.1.1 172.17.0.1"),
};

// kube-proxy's NodePortAddresses: without a CIDR of a family, all of that family.
describe("V02 where NodePorts answer (part: nodePortAddresses)", () => {
  it.each([
    [[], "192.168.1.11 fd00:192::11 10.244.1.1 172.17.0.1"],
    [["primary"], "192.168.1.11 fd00:192::11"],
    [["192.168.0.0/16"], "192.168.1.11 fd00:192::11"],
    [["192.168.0.0/16", "fd01::/16"], "192.168.1.11"],
    [["fd00:192::/32"], "192.168.1.11 fd00:192::11 10.244.1.1 172.17.0.1"],
    [["10.0.0.0/8", "172.16.0.0/12", "::/0"], "fd00:192::11 10.244.1.1 172.17.0.1"],
    [["1.2.3.4/32"], "fd00:192::11"],
  ])("%j", (cidrs, expected) => {
    expect(nodePortAddresses({ cidrs }, node).map(formatIp).join(" ")).toBe(expected);
  });

  it("at 127.0.0.1 only when asked to, and never at ::1", () => {
    const at = (cidrs: string[], localhost: boolean) => nodePortAddresses({ cidrs, localhost }, node).map(formatIp);
    expect(at([], true)).toContain("127.0.0.1");
    expect(at([], true)).not.toContain("::1");
    expect(at(["192.168.0.0/16"], true)).not.toContain("127.0.0.1");
    expect(at(["127.0.0.0/8"], false)).not.toContain("127.0.0.1");
  });

  it("a single-stack node's primary address leaves the other family as it is", () => {
    expect(nodePortAddresses({ cidrs: ["primary"] }, { ...node, primary: ips("192.168.1.11") }).map(formatIp)).toEqual([
      "192.168.1.11",
      "fd00:192::11",
    ]);
  });

  it("a word that is no CIDR is refused", () => {
    expect(() => nodePortAddresses({ cidrs: ["foo"] }, node)).toThrow("foo");
  });
});
