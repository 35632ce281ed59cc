import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { service, slice } from "#services/testing/objects.ts";
import { ask, ServicesLab } from "./servicesLab.ts";

describe("V02 Services move packets (part: ClusterIP, NodePort)", () => {
  let lab: ServicesLab;

  beforeAll(async () => {
    lab = await ServicesLab.start();
    await lab.serveTcp(lab.pod1, "10.244.1.2", 8080, "pod1");
    await lab.serveTcp(lab.pod2, "10.244.1.3", 8080, "pod2");
    lab.put(service("one", { clusterIP: "10.96.0.1", type: "NodePort", ports: [{ name: "http", port: 80, nodePort: 30080 }] }), slice("one", ["10.244.1.3"]));
    await lab.startProxy();
  });
  afterAll(() => lab.close());

  it("pod to ClusterIP, with the pod's own address", async () => {
    expect(await ask(lab.pod1, "10.96.0.1", 80)).toBe("pod2 10.244.1.2");
  });

  it("outside to NodePort, masqueraded", async () => {
    expect(await ask(lab.outside, "192.168.1.11", 30080)).toBe("pod2 10.244.1.1");
  });
});
