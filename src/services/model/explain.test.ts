import { describe, expect, it } from "vitest";
import { formatIp, parseIp } from "#base/ip.ts";
import { service, slice } from "../testing/objects.ts";
import { explainService } from "./explain.ts";
import type { NodeView } from "./frontend.ts";
import { serviceFrontends } from "./frontends.ts";
import { outcomeFor } from "./outcome.ts";

const node: NodeView = { name: "node01", addresses: [parseIp("192.168.1.11")], zone: "a" };
const far = { address: "10.244.2.2", nodeName: "node02" };

/** `10.244.1.2 not-ready endpoints[0].conditions.ready`, for each endpoint that the frontend leaves out. */
function leftOut(
  spec: Parameters<typeof service>[1],
  endpoints: Parameters<typeof slice>[1],
  frontend = 0,
  ...more: ReturnType<typeof slice>[]
): string[] {
  const web = service("web", { clusterIP: "10.96.0.1", ...spec });
  const slices = [slice("web", endpoints), ...more];
  const found = explainService(web, slices, node).frontends[frontend];
  return (found?.leftOut ?? []).map(({ address, reason, origin }) => `${address} ${reason} ${origin.field}`);
}

describe("why a Service's endpoint is left out", () => {
  it("not ready; terminating while others are ready; neither serving", () => {
    const unready = { address: "10.244.1.3", conditions: { ready: false } };
    const going = { address: "10.244.1.4", conditions: { ready: false, serving: true, terminating: true } };
    const gone = { address: "10.244.1.5", conditions: { ready: false, serving: false, terminating: true } };
    expect(leftOut({}, ["10.244.1.2", unready, going, gone])).toEqual([
      "10.244.1.3 not-ready endpoints[1].conditions.ready",
      "10.244.1.4 terminating endpoints[2].conditions.terminating",
      "10.244.1.5 terminating endpoints[3].conditions.serving",
    ]);
    expect(leftOut({}, [unready, going])).toEqual(["10.244.1.3 not-ready endpoints[0].conditions.ready"]);
  });

  it("of the other family; without the port; no address; twice", () => {
    const six = slice("web", ["fd00::2"]);
    const other = slice("web", ["10.244.1.9"], [{ name: "metrics", port: 9 }]);
    const twice = slice("web", [{ address: "10.244.1.2", conditions: { ready: false } }, "10.244.1"]);
    const named = [six, other, twice].map((one, i) => ({ ...one, metadata: { ...one.metadata, name: `web-${i}` } }));
    expect(leftOut({}, ["10.244.1.2"], 0, ...named)).toEqual([
      "fd00::2 other-family addressType",
      "10.244.1.9 other-port ports",
      "10.244.1.2 duplicate endpoints[0].addresses[0]",
      "10.244.1 bad-address endpoints[1].addresses[0]",
    ]);
  });

  it("not on this node, where the policy is Local", () => {
    expect(leftOut({ internalTrafficPolicy: "Local" }, ["10.244.1.2", far])).toEqual([
      "10.244.2.2 not-local endpoints[1].nodeName",
    ]);
    const external = { externalTrafficPolicy: "Local", externalIPs: ["203.0.113.7"] } as const;
    expect(leftOut(external, ["10.244.1.2", far], 0)).toEqual([]);
    expect(leftOut(external, ["10.244.1.2", far], 1)).toEqual(["10.244.2.2 not-local endpoints[1].nodeName"]);
  });

  it("meant for another zone or node, or why hints are ignored", () => {
    const hinted = (address: string, zone: string) => ({ address, hints: { forZones: [{ name: zone }] } });
    expect(leftOut({}, [hinted("10.244.1.2", "a"), hinted("10.244.2.2", "b")])).toEqual([
      "10.244.2.2 hint endpoints[1].hints.forZones",
    ]);
    const web = service("web", { clusterIP: "10.96.0.1" });
    const ignored = (zone: string | undefined, ...endpoints: Parameters<typeof slice>[1]) =>
      explainService(web, [slice("web", endpoints)], { ...node, zone }).frontends[0]?.topology.ignored;
    expect(ignored("c", hinted("10.244.1.2", "a"))).toEqual([
      "Ignoring same-zone topology hints for service since no hints were provided for zone",
    ]);
    expect(ignored(undefined, hinted("10.244.1.2", "a"))).toEqual([
      "Ignoring same-zone topology hints for service since node is missing label",
    ]);
    expect(ignored("a", hinted("10.244.1.2", "a"), "10.244.1.3")).toEqual([
      "Ignoring same-zone topology hints for service since one or more endpoints is missing a zone hint",
    ]);
  });

  it("every endpoint is either used or left out, and an address has its field", () => {
    const web = service("web", {
      clusterIP: "10.96.0.1",
      clusterIPs: ["10.96.0.1"],
      type: "NodePort",
      ports: [{ name: "http", port: 80, nodePort: 30080 }],
      externalTrafficPolicy: "Local",
    });
    const { frontends } = explainService(web, [slice("web", ["10.244.1.2", far])], node);
    expect(frontends.map(({ addressField, policy }) => [addressField, policy.field, policy.value])).toEqual([
      ["spec.clusterIPs[0]", "spec.internalTrafficPolicy", "Cluster"],
      ["spec.ports[0].nodePort", "spec.externalTrafficPolicy", "Local"],
    ]);
  });

  it("a Service that no proxy serves says why", () => {
    expect(explainService(service("web", { clusterIP: "None" }), [], node).notProxied?.field).toBe("spec.clusterIP");
    expect(explainService(service("web", { type: "ExternalName" }), [], node).notProxied?.field).toBe("spec.type");
  });
});

describe("what a frontend does for a client", () => {
  const outcome = (
    spec: Parameters<typeof service>[1],
    client: "pod" | "node" | "outside",
    endpoints: Parameters<typeof slice>[1] = ["10.244.1.2", far],
    tells: Parameters<typeof outcomeFor>[2] = { pods: true },
  ) => {
    const web = service("web", { clusterIP: "10.96.0.1", ...spec });
    const frontend = serviceFrontends(web, [slice("web", endpoints)], node).at(-1);
    if (!frontend) throw new Error("no frontend");
    const { verdict, targets, masquerade } = outcomeFor(frontend, client, tells);
    return `${verdict} ${targets.map(({ ip }) => formatIp(ip)).join(" ")} ${masquerade}`;
  };
  const local = { externalIPs: ["203.0.113.7"], externalTrafficPolicy: "Local" } as const;

  it("a ClusterIP masquerades what comes from elsewhere, all with masqueradeAll, nothing without a way to tell", () => {
    expect(outcome({}, "pod")).toBe("balance 10.244.1.2 10.244.2.2 hairpin");
    expect(outcome({}, "outside")).toBe("balance 10.244.1.2 10.244.2.2 always");
    expect(outcome({}, "pod", undefined, { pods: true, masqueradeAll: true })).toContain("always");
    expect(outcome({}, "outside", undefined, { pods: false })).toContain("hairpin");
  });

  it("external policy Local keeps the address of those outside; pods and the node reach all", () => {
    expect(outcome(local, "outside")).toBe("balance 10.244.1.2 hairpin");
    expect(outcome(local, "pod")).toBe("balance 10.244.1.2 10.244.2.2 hairpin");
    expect(outcome(local, "node")).toBe("balance 10.244.1.2 10.244.2.2 always");
    expect(outcome(local, "outside", [far])).toBe("drop  hairpin");
    expect(outcome(local, "pod", [far])).toBe("balance 10.244.2.2 hairpin");
    expect(outcome(local, "pod", [far], { pods: false })).toBe("drop  hairpin");
    expect(outcome({ ...local, externalTrafficPolicy: "Cluster" }, "outside", [far])).toBe("balance 10.244.2.2 always");
    expect(outcome(local, "outside", [])).toBe("reject  hairpin");
  });
});
