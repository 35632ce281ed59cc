import { describe, expect, it } from "vitest";
import { parseCidr, parseIp } from "#base/ip.ts";
import { service, slice } from "#services/testing/objects.ts";
import { type Frontend, serviceFrontends } from "../../model/index.ts";
import { type Telling, translated } from "./plan.ts";
import { addressRecord } from "./records.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };
const here = { address: "10.244.1.2", nodeName: "node01" };
const far = { address: "10.244.2.2", nodeName: "node02" };
const record = (ip: string, port = 8080, protocol = 6) => addressRecord(parseIp(ip), port, protocol);

function frontends(
  spec: Parameters<typeof service>[1],
  endpoints: Parameters<typeof slice>[1] = [here, far],
): Frontend[] {
  return serviceFrontends(service("web", { clusterIP: "10.96.0.1", ...spec }), [slice("web", endpoints)], node);
}

const tells: Telling = { pods: true };
const plans = (list: readonly Frontend[], telling = tells) => list.map((one) => translated(one, telling));

describe("V04 what sockets' programs translate", () => {
  it("every address with endpoints; those of a port share a list", () => {
    const list = plans(
      frontends({
        type: "NodePort",
        ports: [{ name: "http", port: 80, nodePort: 30080 }],
        externalIPs: ["203.0.113.1"],
      }),
    );
    const addresses = [record("10.96.0.1", 80), record("203.0.113.1", 80), record("192.168.1.11", 30080)];
    expect(list.map((plan) => plan?.address).sort()).toEqual(addresses.sort());
    expect(new Set(list.map((plan) => plan?.list)).size).toBe(1);
    expect(list[0]?.endpoints).toEqual([record("10.244.1.2"), record("10.244.2.2")]);
    expect(list[0]).toMatchObject({ serving: undefined, affinitySeconds: 0 });
  });

  it("internalTrafficPolicy Local has a list of its own, and none here is for the rules to drop", () => {
    const spec = { internalTrafficPolicy: "Local" as const, externalIPs: ["203.0.113.1"] };
    const [cluster, external] = plans(frontends(spec));
    expect(cluster?.endpoints).toEqual([record("10.244.1.2")]);
    expect(external?.endpoints).toHaveLength(2);
    expect(cluster?.list).not.toBe(external?.list);
    expect(plans(frontends(spec, [far]))[0]).toBeUndefined();
  });

  it("no endpoints are for the rules to refuse", () => {
    expect(plans(frontends({}, []))).toEqual([undefined]);
  });

  it("externalTrafficPolicy Local: pods and the node reach all, where they can be told from others", () => {
    const spec = {
      externalTrafficPolicy: "Local" as const,
      externalIPs: ["203.0.113.1"],
      type: "LoadBalancer" as const,
    };
    expect(plans(frontends(spec))[1]?.endpoints).toHaveLength(2);
    expect(plans(frontends(spec), { pods: false })[1]).toBeUndefined();
  });

  it("source ranges are for the rules: a socket has no address yet", () => {
    const [one] = frontends({});
    expect(translated({ ...(one as Frontend), sources: [parseCidr("10.0.0.0/8")] }, tells)).toBeUndefined();
  });

  it("masqueradeAll leaves ClusterIPs to the rules", () => {
    const [cluster, external] = plans(frontends({ externalIPs: ["203.0.113.1"] }), {
      ...tells,
      masqueradeAll: true,
    });
    expect(cluster).toBeUndefined();
    expect(external?.endpoints).toHaveLength(2);
  });

  it("SCTP is for the rules", () => {
    const ports = [{ name: "http", port: 80, protocol: "SCTP" as const }];
    const made = service("web", { clusterIP: "10.96.0.1", ports });
    expect(plans(serviceFrontends(made, [slice("web", [here], ports)], node))).toEqual([undefined]);
  });

  it("clients come back, by affinity or a UDP flow, to endpoints that still serve", () => {
    const leaving = { ...far, conditions: { ready: false, serving: true, terminating: true } };
    const [plan] = plans(frontends({ sessionAffinity: "ClientIP" }, [here, leaving]));
    expect(plan).toMatchObject({ endpoints: [record("10.244.1.2")], affinitySeconds: 10_800 });
    expect(plan?.serving).toEqual([record("10.244.1.2"), record("10.244.2.2")]);
  });
});
