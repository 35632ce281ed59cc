import { describe, expect, it } from "vitest";
import type { EndpointSlice } from "#api/index.ts";
import { formatIp, parseIp } from "#base/ip.ts";
import { openIntake } from "../intake.ts";
import { service, slice } from "../testing/objects.ts";
import { type Frontend, numberedOf, serviceFrontends } from "./index.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const web = service("web", {
  clusterIP: "10.96.0.1",
  type: "NodePort",
  ports: [{ name: "http", port: 80, nodePort: 30080 }],
});
const elsewhere = (address: string) => ({ address, nodeName: "node02" });
const other: EndpointSlice = { ...slice("web", ["10.244.1.9"]), ports: [{ name: "http", port: 8081 }] };

const plain = (frontends: readonly Frontend[]) =>
  frontends.map(({ action, choice, ...rest }) => ({
    ...rest,
    kind: action.kind,
    targets: "targets" in action ? action.targets.map(({ ip, port, origin }) => ({ ip, port, origin })) : [],
    serving: choice.serving.map(({ ip, isLocal, isElsewhere }) => ({ ip, isLocal, isElsewhere })),
  }));

describe("V01 targets as numbers (part: the common case says the same as all others)", () => {
  it.each<[string, EndpointSlice[], string[] | undefined]>([
    ["sorted", [slice("web", ["10.244.1.2", "10.244.1.3"])], ["10.244.1.2", "10.244.1.3"]],
    // As signed numbers 200.… would be before 10.….
    ["in another order", [slice("web", ["200.0.0.1", "10.244.1.3"])], ["10.244.1.3", "200.0.0.1"]],
    [
      "of two slices",
      [slice("web", [elsewhere("10.244.2.2")]), slice("web", ["10.244.1.2"])],
      ["10.244.1.2", "10.244.2.2"],
    ],
    ["twice", [slice("web", ["10.244.1.2"]), slice("web", ["10.244.1.2"])], undefined],
    ["at two ports", [slice("web", ["10.244.1.2"]), other], undefined],
    ["none", [slice("web", [])], undefined],
    [
      "one of them not ready",
      [slice("web", ["10.244.1.2", { address: "10.244.1.3", conditions: { ready: false } }])],
      undefined,
    ],
    ["with a hint", [slice("web", [{ address: "10.244.1.2", hints: { forNodes: [{ name: "node01" }] } }])], undefined],
  ])("%s", (_, slices, numbers) => {
    const kept = serviceFrontends(web, slices.map(openIntake().slice), node);
    expect(plain(kept)).toEqual(plain(serviceFrontends(web, slices, node)));
    const found = kept.map(({ action }) => numberedOf(action));
    expect(found).toHaveLength(2);
    for (const one of found) {
      const texts = one?.addresses.map((number) =>
        formatIp(parseIp([24, 16, 8, 0].map((by) => (number >>> by) & 255).join("."))),
      );
      expect(texts).toEqual(numbers);
    }
  });

  it("knows those that may be on this node", () => {
    const places = [
      { address: "10.244.1.2", nodeName: "node01" },
      elsewhere("10.244.2.2"),
      { address: "10.244.3.2", nodeName: "" },
    ];
    const [frontend] = serviceFrontends(web, [openIntake().slice(slice("web", places))], node);
    const numbered = frontend && numberedOf(frontend.action);
    expect(numbered?.near.map(({ ip, isLocal }) => [formatIp(ip), isLocal])).toEqual([
      ["10.244.1.2", true],
      ["10.244.3.2", false],
    ]);
    expect(numbered?.near[1]?.origin).toMatchObject({ kind: "EndpointSlice", field: "endpoints[2]" });
  });
});
