import { describe, expect, it } from "vitest";
import type { Service } from "#api/index.ts";
import { formatIp, parseIp } from "#base/ip.ts";
import { type Frontend, serviceFrontends, type Target } from "../../model/index.ts";
import { type EndpointSpec, service, slice } from "../../testing/objects.ts";
import { portalsOf, redirected } from "./portals.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11"), parseIp("fd00:192::11")] };
const far = { address: "10.244.2.2", nodeName: "node02" };
const near = "10.244.1.2";

const list = (targets: readonly Target[]) => targets.map(({ ip, port }) => `${formatIp(ip)}:${port}`).join(" ");

function frontendsOf(spec: Partial<Service["spec"]>, endpoints: readonly EndpointSpec[], ports?: never[]): Frontend[] {
  const slices = endpoints.length ? [slice("web", endpoints, ports)] : [];
  return serviceFrontends(service("web", { clusterIP: "10.96.0.1", ...spec }), slices, node);
}

/** Each portal and its endpoints. */
const portals = (frontends: readonly Frontend[]) =>
  [...portalsOf(frontends).values()].map(({ key, targets }) => `${key}: ${list(targets)}`);

/** What the rules do, with portals served at ports from 40001 on. */
function rules(frontends: readonly Frontend[], served = [...portalsOf(frontends).keys()]): string[] {
  const at = (key: string) =>
    served.includes(key) ? { ip: parseIp("192.168.1.11"), port: 40_001 + served.indexOf(key) } : undefined;
  return frontends.map((frontend) => {
    const { kind, action, affinitySeconds, choice } = redirected(frontend, at);
    expect(affinitySeconds).toBeUndefined();
    const ports = (targets: readonly Target[]) => targets.map(({ port }) => port).join(" ");
    const words = action.kind === "balance-local" ? `local [${ports(action.local)}] of ${ports(action.targets)}` : "";
    const text = action.kind === "balance" ? ports(action.targets) : words || action.kind;
    return `${kind} → ${text}, flows to ${ports(choice.serving) || "none"}`;
  });
}

describe("V04 the userspace mode's proxy ports (part: which there are, and what leads to them)", () => {
  it("all addresses of a Service's port in a family share one", () => {
    const frontends = frontendsOf(
      { type: "NodePort", externalIPs: ["203.0.113.1"], ports: [{ name: "http", port: 80, nodePort: 30080 }] },
      [near, far],
    );
    expect(portals(frontends)).toEqual(["4 shop/web:http 6 cluster: 10.244.1.2:8080 10.244.2.2:8080"]);
    expect(rules(frontends)).toEqual([
      "ClusterIP → 40001, flows to 40001",
      "ExternalIP → 40001, flows to 40001",
      "NodePort → 40001, flows to 40001",
    ]);
  });

  it("policy Local has one of its own, so that the rules can choose by where a client is", () => {
    const frontends = frontendsOf({ externalIPs: ["203.0.113.1"], externalTrafficPolicy: "Local" }, [near, far]);
    expect(portals(frontends)).toEqual([
      "4 shop/web:http 6 cluster: 10.244.1.2:8080 10.244.2.2:8080",
      "4 shop/web:http 6 local: 10.244.1.2:8080",
    ]);
    expect(rules(frontends)).toEqual([
      "ClusterIP → 40001, flows to 40001",
      "ExternalIP → local [40002] of 40001, flows to 40001 40002",
    ]);
  });

  it("none for what is refused or dropped", () => {
    const external = { externalIPs: ["203.0.113.1"] };
    expect(rules(frontendsOf(external, []))).toEqual([
      "ClusterIP → reject, flows to none",
      "ExternalIP → reject, flows to none",
    ]);
    expect(rules(frontendsOf({ ...external, internalTrafficPolicy: "Local" }, [far]))).toEqual([
      "ClusterIP → drop, flows to none",
      "ExternalIP → 40001, flows to 40001",
    ]);
    expect(rules(frontendsOf({ ...external, externalTrafficPolicy: "Local" }, [far]))).toEqual([
      "ClusterIP → 40001, flows to 40001",
      "ExternalIP → local [] of 40001, flows to 40001",
    ]);
  });

  it("TCP and UDP of one number have two; affinity is the process's", () => {
    const ports = ["TCP", "UDP"].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }) as never);
    const frontends = frontendsOf({ ports, sessionAffinity: "ClientIP" }, [near], ports);
    expect(portals(frontends)).toEqual([
      "4 shop/web:tcp 6 cluster: 10.244.1.2:53",
      "4 shop/web:udp 17 cluster: 10.244.1.2:53",
    ]);
    expect([...portalsOf(frontends).values()].map(({ affinitySeconds }) => affinitySeconds)).toEqual([10_800, 10_800]);
  });

  it("what cannot be relayed is refused: SCTP, and where no port could be had", () => {
    const sctp = [{ name: "sctp", port: 3868, protocol: "SCTP" }] as never[];
    const frontends = frontendsOf({ ports: sctp }, [near], sctp);
    expect(portals(frontends)).toEqual([]);
    expect(rules(frontends)).toEqual(["ClusterIP → reject, flows to none"]);
    expect(rules(frontendsOf({}, [near]), [])).toEqual(["ClusterIP → reject, flows to none"]);
  });
});
