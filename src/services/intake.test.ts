import { describe, expect, it } from "vitest";
import type { EndpointSlice } from "#api/index.ts";
import { parseIp } from "#base/ip.ts";
import { openIntake } from "./intake.ts";
import { healthCheck, serviceFrontends } from "./model/index.ts";
import { triggerTime } from "./observer.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "node01", zone: "a", addresses: [parseIp("192.168.1.11")] };
const ready = (address: string, zone: string) => ({
  address,
  conditions: { ready: true, serving: true, terminating: false },
  hints: { forZones: [{ name: zone }] },
});

describe("what the proxy keeps of objects (part: memory)", () => {
  it("is enough for the model: it makes the same of what is kept as of the whole", () => {
    const balanced = {
      ...service(
        "web",
        {
          clusterIP: "10.96.0.1",
          type: "LoadBalancer",
          externalTrafficPolicy: "Local",
          healthCheckNodePort: 30001,
          sessionAffinity: "ClientIP",
          selector: { app: "web" },
          ports: [{ name: "http", port: 80, nodePort: 30080 }],
        },
        { "podwire.dev/source": "web.yaml:1", other: "x" },
      ),
      status: { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } },
    };
    const slices = [
      slice("web", [ready("10.244.1.2", "a"), ready("10.244.1.3", "b")]),
      slice("web", [{ address: "10.244.2.2", nodeName: "node02", conditions: { ready: false, terminating: true } }]),
    ];
    const intake = openIntake();
    const kept = intake.service(balanced);
    const keptSlices = slices.map(intake.slice);
    const frontends = serviceFrontends(balanced, slices, node);
    expect(frontends.length).toBeGreaterThan(2);
    const plain = (of: typeof frontends) =>
      of.map(({ action, choice, ...rest }) => ({
        ...rest,
        action: "targets" in action ? action.targets.map(({ ip, port, origin }) => ({ ip, port, origin })) : action,
        serving: choice.serving.map(({ ip, isLocal }) => ({ ip, isLocal })),
      }));
    expect(plain(serviceFrontends(kept, keptSlices, node))).toEqual(plain(frontends));
    expect(healthCheck(kept, keptSlices, "node01")).toEqual(healthCheck(balanced, slices, "node01"));
    expect(JSON.stringify(kept)).not.toContain("selector");
  });

  it("keeps the time of the change, and the labels that say whose it is", () => {
    const intake = openIntake();
    const one = slice("web", ["10.244.1.2"]);
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": "2020-01-01T00:00:00Z", other: "x" };
    const kept = intake.slice({ ...one, metadata: { ...one.metadata, annotations } });
    expect(triggerTime(kept)).toBe(Date.UTC(2020, 0, 1));
    expect(kept.metadata.labels).toEqual({ "kubernetes.io/service-name": "web" });
    const other = service("web", { clusterIP: "10.96.0.1" });
    const labels = { "service.kubernetes.io/service-proxy-name": "x", app: "web" };
    const keptService = intake.service({ ...other, metadata: { ...other.metadata, labels } });
    expect(serviceFrontends(keptService, [kept], node)).toEqual([]);
  });

  it("takes a slice without endpoints as the API server sends it", () => {
    const none = { ...slice("web", []), endpoints: null } as unknown as EndpointSlice;
    expect(openIntake().slice(none).endpoints).toEqual([]);
  });
});
