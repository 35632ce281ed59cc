import { describe, expect, it } from "vitest";
import type { Service } from "#api/index.ts";
import { formatIp, type Ip, parseCidr, parseIp } from "#base/ip.ts";
import { FakeConntrack, type Flow } from "#kernel/conntrack/index.ts";
import { type Frontend, type FrontendChange, serviceFrontends } from "./model/index.ts";
import { cleanStaleFlows } from "./staleFlows.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const targets = [{ name: "dns", port: 53, protocol: "UDP" as const }];
const dns: Service = {
  ...service("dns", {
    clusterIP: "10.96.0.10",
    type: "LoadBalancer",
    ports: [{ name: "dns", port: 53, protocol: "UDP", nodePort: 30053 }],
    externalIPs: ["203.0.113.7"],
  }),
  status: { loadBalancer: { ingress: [{ ip: "198.51.100.9" }] } },
};
/** The Service's addresses and ports. */
const places = [
  ["10.96.0.10", 53],
  ["198.51.100.9", 53],
  ["203.0.113.7", 53],
  ["192.168.1.11", 30053],
] as const;

/** What each of the Service's addresses does with these endpoints. */
function frontends(...endpoints: Parameters<typeof slice>[1]): Map<string, Frontend> {
  const slices = endpoints.length ? [slice("dns", endpoints, targets)] : [];
  return new Map(serviceFrontends(dns, slices, node).map((one) => [formatIp(one.ip), one]));
}

/** A UDP flow of client port `sourcePort` to an address, answered from another. */
function flow(sourcePort: number, to: string, port: number, answeredFrom: string, answerPort = 53): Flow {
  const client = parseIp("10.244.1.9");
  const original = { protocol: 17, source: client, sourcePort, destination: parseIp(to), destinationPort: port };
  const reply = {
    protocol: 17,
    source: parseIp(answeredFrom),
    sourcePort: answerPort,
    destination: client,
    destinationPort: sourcePort,
  };
  return { original, reply };
}

const going = (address: string) => ({ address, conditions: { ready: false, serving: true, terminating: true } });

describe.each(places)("V04 stale UDP connections at %s:%i", (address, port) => {
  const flows = [
    flow(1, address, port, "10.244.1.2"),
    flow(2, address, port, "10.244.1.3"),
    flow(3, address, port, address, port),
    flow(4, "10.96.0.99", port, "10.244.1.2"),
    flow(5, address, port + 1, "10.244.1.2"),
  ];
  /** Client ports of the flows that are left. */
  const left = (before: Map<string, Frontend> | undefined, after: Map<string, Frontend> | undefined) => {
    const conntrack = new FakeConntrack();
    conntrack.add(...flows);
    const was = before?.get(address);
    const now = after?.get(address);
    const change: FrontendChange = { ...(was && { before: was }), ...(now && { after: now }) };
    cleanStaleFlows(conntrack, [change]);
    return conntrack.list({ family: 4 }).map(({ original }) => original.sourcePort);
  };
  const all = [1, 2, 3, 4, 5];

  it("an endpoint went: its flows go", () => {
    expect(left(frontends("10.244.1.2", "10.244.1.3"), frontends("10.244.1.3"))).toEqual([2, 4, 5]);
  });

  it("the first endpoint came: flows from before the Service had any go", () => {
    expect(left(frontends(), frontends("10.244.1.3"))).toEqual([2, 4, 5]);
  });

  it("scaled to zero: flows to endpoints go, and after it those that began meanwhile", () => {
    expect(left(frontends("10.244.1.2"), frontends())).toEqual([3, 4, 5]);
    expect(left(frontends(), frontends("10.244.1.2"))).toEqual([1, 4, 5]);
  });

  it("the Service went: flows that it led go", () => {
    expect(left(frontends("10.244.1.2"), undefined)).toEqual([3, 4, 5]);
  });

  it("the process is new: whatever leads to none of the endpoints goes", () => {
    expect(left(undefined, frontends("10.244.1.2"))).toEqual([1, 4, 5]);
  });

  // kube-proxy takes neither policy, hints nor readiness into account, for the sake of connections that go on.
  it("an endpoint that serves, though it gets no new connections, keeps its flows", () => {
    expect(left(frontends("10.244.1.2", "10.244.1.3"), frontends(going("10.244.1.2"), "10.244.1.3"))).toEqual(all);
  });

  it("another endpoint came: nothing goes", () => {
    expect(left(frontends("10.244.1.2"), frontends("10.244.1.2", "10.244.1.3"))).toEqual(all);
  });
});

describe("V04 stale UDP connections", () => {
  it("an address that a former process served: flows that it led on go", () => {
    const conntrack = new FakeConntrack();
    conntrack.add(flow(1, "10.96.0.10", 53, "10.244.1.2"), flow(2, "10.96.0.10", 53, "10.96.0.10"));
    const before = { ip: parseIp("10.96.0.10"), protocol: 17, port: 53, choice: { serving: [] } };
    expect(cleanStaleFlows(conntrack, [{ before }])).toEqual({ 4: 1, 6: 0 });
    expect(conntrack.list({ family: 4 }).map(({ original }) => original.sourcePort)).toEqual([2]);
  });

  it("in networks of Services, flows that were led on from an address that no Service has go", () => {
    const conntrack = new FakeConntrack();
    conntrack.add(
      flow(1, "10.96.0.10", 53, "10.244.1.2"),
      flow(2, "10.96.0.11", 53, "10.244.1.2"),
      flow(3, "10.96.0.12", 53, "10.96.0.12"),
      flow(4, "192.0.2.1", 53, "10.244.1.2"),
    );
    const isServed = ({ ip }: { readonly ip: Ip }) => formatIp(ip) === "10.96.0.10";
    const cidrs = [parseCidr("10.96.0.0/16"), parseCidr("fd00:96::/108")];
    expect(cleanStaleFlows(conntrack, [], { cidrs, isServed })).toEqual({ 4: 1, 6: 0 });
    expect(conntrack.list({ family: 4 }).map(({ original }) => original.sourcePort)).toEqual([1, 3, 4]);
  });

  it("connections of other protocols are left alone", () => {
    const tcp = service("web", { clusterIP: "10.96.0.10", ports: [{ name: "dns", port: 53, protocol: "TCP" }] });
    const conntrack = new FakeConntrack();
    conntrack.add(flow(1, "10.96.0.10", 53, "10.244.1.2"));
    const [before] = serviceFrontends(tcp, [slice("web", ["10.244.1.2"], [{ name: "dns", port: 53 }])], node);
    expect(cleanStaleFlows(conntrack, before ? [{ before }] : [])).toEqual({ 4: 0, 6: 0 });
  });
});
