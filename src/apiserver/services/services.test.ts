import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ApiError, Client, type KubeObject, resource, resources, type Service, type ServiceSpec } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { type ApiServer, controllerUser, createApiServer } from "../index.ts";

interface IpAddress extends KubeObject {
  readonly spec: {
    readonly parentRef: { readonly resource: string; readonly namespace?: string; readonly name: string };
  };
}
const ipAddresses = resource<IpAddress>("networking.k8s.io", "v1", "ipaddresses", "IPAddress", false);
const serviceCidrs = resource<KubeObject & { spec: { cidrs: string[] } }>(
  "networking.k8s.io",
  "v1",
  "servicecidrs",
  "ServiceCIDR",
  false,
);

let server: ApiServer;
let client: Client;
const running: ApiServer[] = [];
function serve(cidrs: string[], nodePorts: [number, number] = [30_000, 32_767]): void {
  const log = createLogger("test", { write: () => {} });
  server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: { cert: "", key: "" },
      serviceAccounts: { issuer: "https://kubernetes.default.svc" },
      services: { cidrs, nodePorts },
    },
    { log },
  );
  running.push(server);
  client = new Client(server.localTransport(controllerUser), { userAgent: "test" });
}
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

const create = async (name: string, spec: Partial<ServiceSpec> = {}): Promise<Service> =>
  await client.create<Service>(resources.services, {
    metadata: { name, namespace: "default" },
    spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
  });
const patch = async (name: string, spec: object): Promise<Service> =>
  await client.patch(resources.services, name, "default", { spec }, { type: "merge" });
const message = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).message;
};
const addresses = async (): Promise<Record<string, string>> => {
  const { items } = await client.list<IpAddress>(ipAddresses);
  return Object.fromEntries(
    items.map(({ metadata, spec }) => [metadata.name, `${spec.parentRef.namespace}/${spec.parentRef.name}`]),
  );
};

describe("V02 (part: addresses and ports of Services): one family", () => {
  beforeEach(() => serve(["10.96.0.0/24"]));

  it("stand as IPAddress objects as long as a Service has them", async () => {
    expect(await addresses()).toEqual({ "10.96.0.1": "default/kubernetes" });
    await create("web", { clusterIP: "10.96.0.50" });
    expect(await addresses()).toEqual({ "10.96.0.1": "default/kubernetes", "10.96.0.50": "default/web" });
    const object = await client.get<IpAddress>(ipAddresses, "10.96.0.50");
    expect(object.metadata.labels).toEqual({
      "ipaddress.kubernetes.io/ip-family": "IPv4",
      "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    });
    await client.delete(resources.services, "web", "default");
    expect(await addresses()).toEqual({ "10.96.0.1": "default/kubernetes" });
  });

  it("are refused in upstream's words", async () => {
    const asking = (clusterIP: string) => message(create("web", { clusterIP }));
    const refused = (ip: string, why: string) =>
      `Service "web" is invalid: spec.clusterIPs: Invalid value: ["${ip}"]: failed to allocate IP ${ip}: ${why}`;
    expect(await asking("10.96.0.1")).toBe(refused("10.96.0.1", "provided IP is already allocated"));
    expect(await asking("10.97.0.1")).toBe(
      refused("10.97.0.1", "the provided network does not match the current range"),
    );
    expect(await asking("10.96.0.255")).toBe(
      refused(
        "10.96.0.255",
        "the provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is 10.96.0.0/24",
      ),
    );
  });

  it("cannot be had when an IPAddress of somebody else's stands for them", async () => {
    await client.create(ipAddresses, {
      metadata: { name: "10.96.0.60" },
      spec: { parentRef: { resource: "gateways", namespace: "default", name: "gw" } },
    } as IpAddress);
    expect(await message(create("web", { clusterIP: "10.96.0.60" }))).toContain("provided IP is already allocated");
  });

  it("are chosen from above the band that is left for those who choose", async () => {
    // A /24 leaves its first 16 addresses.
    for (let i = 0; i < 20; i++) {
      const { spec } = await create(`s${i}`);
      expect(Number(spec.clusterIP?.split(".")[3])).toBeGreaterThan(16);
    }
  });

  it("come from further ServiceCIDRs too, and no longer from one that is being deleted", async () => {
    await client.create(serviceCidrs, {
      metadata: { name: "more", finalizers: ["networking.k8s.io/service-cidr-finalizer"] },
      spec: { cidrs: ["10.200.0.0/28"] },
    });
    await create("asked", { clusterIP: "10.200.0.5" });
    await client.delete(serviceCidrs, "more");
    expect(await message(create("late", { clusterIP: "10.200.0.6" }))).toContain(
      "the provided network does not match the current range",
    );
    // Who has one keeps it.
    expect((await patch("asked", { sessionAffinity: "ClientIP" })).spec.clusterIP).toBe("10.200.0.5");
  });

  it("are given back with the type that needed them", async () => {
    const { spec } = await create("web", { type: "NodePort" });
    const port = spec.ports?.[0]?.nodePort ?? 0;
    expect(port).toBeGreaterThanOrEqual(30_000);
    expect(await message(create("thief", { type: "NodePort", ports: [{ port: 80, nodePort: port }] }))).toBe(
      `Service "thief" is invalid: spec.ports[0].nodePort: Invalid value: ${port}: provided port is already allocated`,
    );
    const inside = await patch("web", { type: "ClusterIP" });
    expect([inside.spec.ports?.[0]?.nodePort, inside.spec.externalTrafficPolicy]).toEqual([undefined, undefined]);
    await create("heir", { type: "NodePort", ports: [{ port: 80, nodePort: port }] });
    const elsewhere = await patch("web", { type: "ExternalName", externalName: "example.com" });
    expect([elsewhere.spec.clusterIP, elsewhere.spec.clusterIPs, elsewhere.spec.ipFamilies]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(Object.values(await addresses()).sort()).toEqual(["default/heir", "default/kubernetes"]);
    const back = await patch("web", { type: "ClusterIP", externalName: null });
    expect((await addresses())[back.spec.clusterIP ?? ""]).toBe("default/web");
  });

  it("keep their node ports by the ports' names", async () => {
    const ports = [
      { name: "a", port: 80 },
      { name: "b", port: 81 },
    ];
    const first = await create("web", { type: "NodePort", ports });
    const [a, b] = first.spec.ports ?? [];
    const { spec } = await patch("web", {
      ports: [
        { name: "b", port: 8081 },
        { name: "a", port: 80 },
      ],
    });
    expect(spec.ports?.map(({ nodePort }) => nodePort)).toEqual([b?.nodePort, a?.nodePort]);
  });

  it("have a port for health checks while a load balancer needs it", async () => {
    const { spec } = await create("lb", { type: "LoadBalancer", externalTrafficPolicy: "Local" });
    const port = spec.healthCheckNodePort ?? 0;
    expect(port).toBeGreaterThanOrEqual(30_000);
    expect(await message(create("thief", { type: "NodePort", ports: [{ port: 80, nodePort: port }] }))).toContain(
      "provided port is already allocated",
    );
    const cluster = await patch("lb", { externalTrafficPolicy: "Cluster" });
    expect(cluster.spec.healthCheckNodePort).toBeUndefined();
    await create("heir", { type: "NodePort", ports: [{ port: 80, nodePort: port }] });
    expect(
      await message(
        create("other", { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: port }),
      ),
    ).toBe(
      `Internal error occurred: failed to allocate requested HealthCheck NodePort ${port}: provided port is already allocated`,
    );
  });

  it("allocate no node ports for a load balancer that wants none", async () => {
    const { spec } = await create("lb", { type: "LoadBalancer", allocateLoadBalancerNodePorts: false });
    expect(spec.ports?.[0]?.nodePort).toBeUndefined();
  });

  it("have no second family to give", async () => {
    expect(await message(create("web", { ipFamilyPolicy: "RequireDualStack" }))).toContain(
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    );
    expect(await message(create("web", { ipFamilies: ["IPv6"] }))).toContain(
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
    expect((await create("web", { ipFamilyPolicy: "PreferDualStack" })).spec.ipFamilies).toEqual(["IPv4"]);
    const headless = await create("headless", { clusterIP: "None", selector: {} });
    expect([headless.spec.ipFamilyPolicy, headless.spec.ipFamilies]).toEqual(["RequireDualStack", ["IPv4", "IPv6"]]);
  });
});

describe("V02 (part: addresses and ports of Services): small ranges", () => {
  it("run out with upstream's error", async () => {
    serve(["10.96.0.0/30"], [30_000, 30_000]);
    await create("second", { type: "NodePort" });
    expect(await message(create("third"))).toBe(
      "Internal error occurred: failed to allocate a serviceIP: range is full",
    );
    await client.create(serviceCidrs, { metadata: { name: "more" }, spec: { cidrs: ["10.99.0.0/28"] } });
    expect((await create("third")).spec.clusterIP).toMatch(/^10\.99\.0\./);
    expect(await message(create("fourth", { type: "NodePort" }))).toBe(
      "Internal error occurred: failed to allocate a nodePort: range is full",
    );
  });
});

describe("V02 (part: addresses and ports of Services): two families", () => {
  beforeEach(() => serve(["10.96.0.0/16", "fd00:10:96::/112"]));

  it("are given and taken back as the policy changes", async () => {
    const single = await create("web");
    expect([single.spec.ipFamilies, single.spec.clusterIPs?.length]).toEqual([["IPv4"], 1]);
    const dual = await patch("web", { ipFamilyPolicy: "PreferDualStack" });
    expect(dual.spec.ipFamilies).toEqual(["IPv4", "IPv6"]);
    expect(dual.spec.clusterIPs?.[0]).toBe(single.spec.clusterIP);
    expect(Object.values(await addresses()).filter((owner) => owner === "default/web")).toHaveLength(2);
    expect(await message(patch("web", { ipFamilies: ["IPv4"], clusterIPs: dual.spec.clusterIPs }))).toContain(
      "must be 'SingleStack' to release the secondary IP family",
    );
    const again = await patch("web", { ipFamilyPolicy: "SingleStack" });
    expect([again.spec.ipFamilies, again.spec.clusterIPs]).toEqual([["IPv4"], [single.spec.clusterIP]]);
    expect(Object.values(await addresses()).filter((owner) => owner === "default/web")).toHaveLength(1);
  });

  it("follow addresses that were asked for", async () => {
    const { spec } = await create("six", { clusterIP: "fd00:10:96::77" });
    expect([spec.ipFamilies, spec.ipFamilyPolicy]).toEqual([["IPv6"], "SingleStack"]);
    const policy = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
    expect(await message(create("web", { ipFamilies: ["IPv6", "IPv4"] }))).toContain(policy);
    const both = await create("both", { ipFamilies: ["IPv6", "IPv4"], ipFamilyPolicy: "RequireDualStack" });
    expect(both.spec.clusterIPs?.map((ip) => ip.includes(":"))).toEqual([true, false]);
  });
});
