import { describe, expect, it } from "vitest";
import { service, slice } from "../testing/objects.ts";
import { healthCheck } from "./healthChecks.ts";

// kube-proxy answers 503 on the health check port of a node without ready endpoints of its own.
describe("V02 LoadBalancer (part: healthCheckNodePort)", () => {
  const spec = {
    clusterIP: "10.96.0.1",
    clusterIPs: ["10.96.0.1", "fd00:96::1"],
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32000,
  } as const;
  const web = service("web", spec);
  const check = (...endpoints: Parameters<typeof slice>[1]) => healthCheck(web, [slice("web", endpoints)], "node01");

  it("counts ready endpoints of the node, each pod once", () => {
    const far = { address: "10.244.2.2", nodeName: "node02" };
    const going = { address: "10.244.1.4", conditions: { ready: false, serving: true, terminating: true } };
    expect(check("10.244.1.2", "10.244.1.3", far, going)).toEqual({ port: 32000, localEndpoints: 2 });
    expect(check(far, going)).toEqual({ port: 32000, localEndpoints: 0 });
    const dual = [slice("web", ["10.244.1.2", "10.244.1.3"]), slice("web", ["fd00:244::2", "fd00:244::3"])];
    expect(healthCheck(web, dual, "node01")).toEqual({ port: 32000, localEndpoints: 2 });
  });

  it("is there for load balancers with policy Local alone", () => {
    for (const other of [
      { externalTrafficPolicy: "Cluster" },
      { type: "NodePort" },
      { healthCheckNodePort: 0 },
    ] as const)
      expect(healthCheck(service("web", { ...spec, ...other }), [], "node01")).toBeUndefined();
  });
});
