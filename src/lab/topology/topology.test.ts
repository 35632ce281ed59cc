import { describe, expect, it } from "vitest";
import { parseTopology } from "./index.ts";

describe("L05 a topology file (part: hosts, segments, routers)", () => {
  it("is read", () => {
    const topology = parseTopology(
      "segments: [lan]\nmachines:\n  a: { interfaces: { eth0: { segment: lan, address: 10.0.0.2/24 } }, routes: { default: 10.0.0.1 }, forward: true }\n",
      "t.yaml",
    );
    expect(topology.machines[0]).toMatchObject({
      name: "a",
      routes: [{ to: "default", via: "10.0.0.1" }],
      sysctls: { "net.ipv4.ip_forward": "1" },
    });
    expect(topology.machines[0]?.interfaces[0]?.mac).toMatch(/^02:/);
  });

  it.each([
    [
      "segments: [lan]\nmachines:\n  a: { interfaces: { eth0: { segment: wan } } }\n",
      't.yaml:3: machines.a.interfaces.eth0: segment: found "wan"; allowed are lan',
    ],
    [
      "segments: [lan]\nmachines:\n  a: { interface: {} }\n",
      't.yaml:3: machines.a: unknown key "interface"; allowed are interfaces, routes, forward',
    ],
    [
      "segments: [lan]\nmachines:\n  a: { routes: { 10.0.0.0/8: nowhere } }\n",
      "t.yaml:3: machines.a.routes.10.0.0.0/8: ",
    ],
    ["segments: lan\nmachines: {}\n", "segments: allowed is a list of names"],
  ])("refuses %j by file and line", (text, message) => {
    expect(() => parseTopology(text, "t.yaml")).toThrow(message);
  });
});
