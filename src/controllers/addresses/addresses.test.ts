import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isNotFound, resources, type Service } from "#api/index.ts";
import { parseCidr } from "#base/ip.ts";
import { InProcessCluster } from "../testing/cluster.ts";
import { addressFor, addressResources, type IpAddress, managedBy, managedByLabel, type ServiceCidr } from "./model.ts";
import { checkAddress, checkService, type Lookup, planServiceCidr, protection } from "./plan.ts";

const service = (name: string, ...clusterIPs: string[]): Service => ({
  metadata: { name, namespace: "default" },
  spec: { clusterIP: clusterIPs[0] ?? "", clusterIPs },
});
const lookup = (addresses: IpAddress[], services: Service[] = []): Lookup => ({
  networks: [parseCidr("10.96.0.0/12"), parseCidr("fd00::/112")],
  address: (ip) => addresses.find(({ metadata }) => metadata.name === ip),
  service: (key) => services.find(({ metadata }) => `default/${metadata.name}` === key),
});

describe("address repair plan", () => {
  const web = service("web", "10.96.0.5", "fd00::5");
  const right = ["10.96.0.5", "fd00::5"].map((ip) => addressFor(ip, web));

  it("finds nothing where all is well, and nothing for headless Services", () => {
    expect(checkService(web, lookup(right))).toEqual([]);
    expect(checkService(service("headless", "None"), lookup([]))).toEqual([]);
    expect(right.map((address) => checkAddress(address, lookup([], [web])))).toEqual([undefined, undefined]);
  });

  it("makes what is missing", () => {
    expect(checkService(web, lookup(right.slice(1)))).toEqual([
      {
        reason: "ClusterIPNotAllocated",
        message: "Cluster IP [IPv4]: 10.96.0.5 is not allocated; repairing",
        create: right[0],
      },
    ]);
  });

  it("says what it cannot put right", () => {
    const twin = service("twin", "10.96.0.5");
    expect(checkService(twin, lookup(right, [web]))).toEqual([
      {
        reason: "ClusterIPAlreadyAllocated",
        message: "Cluster IP [IPv4]:10.96.0.5 was assigned to multiple services; please recreate service",
      },
    ]);
    expect(checkService(service("far", "192.0.2.1"), lookup([]))).toEqual([
      {
        reason: "ClusterIPOutOfRange",
        message: "Cluster IP [IPv4]: 192.0.2.1 is not within any configured Service CIDR; please recreate service",
      },
    ]);
  });

  it("corrects a wrong parent, and removes what leaked", () => {
    const lost = addressFor("10.96.0.5", service("gone"));
    expect(checkService(service("web", "10.96.0.5"), lookup([lost]))).toMatchObject([
      { reason: "ClusterIPNotAllocated", remove: lost, create: { metadata: { name: "10.96.0.5" } } },
    ]);
    expect(checkAddress(lost, lookup([], []))).toEqual({
      reason: "IPAddressNotAllocated",
      message: "IPAddress: 10.96.0.5 for Service default/gone appears to have leaked: cleaning up",
      remove: lost,
    });
    expect(checkAddress(lost, lookup([], [service("gone", "10.96.0.6")]))).toMatchObject({
      reason: "IPAddressWrongReference",
    });
    const foreign = { ...lost, metadata: { name: "10.96.0.5" } };
    expect(checkAddress(foreign, lookup([], []))).toBeUndefined();
  });
});

describe("ServiceCIDR plan", () => {
  const now = new Date("2026-01-01T00:00:00Z");
  const cidr = (name: string, cidrs: string[], more: Partial<ServiceCidr["metadata"]> = {}): ServiceCidr => ({
    metadata: { name, finalizers: [protection], ...more },
    spec: { cidrs },
  });
  const going = cidr("b", ["10.200.0.0/28"], { deletionTimestamp: "now" });
  const used = addressFor("10.200.0.5", service("web"));

  it("protects it and says that it is ready", () => {
    const plan = planServiceCidr(cidr("a", ["10.96.0.0/12"], { finalizers: [] }), [], [], now);
    expect(plan.finalizers).toEqual([protection]);
    expect(plan.conditions).toMatchObject([
      { type: "Ready", status: "True", message: "Kubernetes Service CIDR is ready" },
    ]);
  });

  it("keeps it while an address would be in no other", () => {
    expect(planServiceCidr(going, [going], [used], now).conditions).toMatchObject([
      {
        type: "Ready",
        status: "False",
        reason: "Terminating",
        message:
          "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
      },
    ]);
    expect(planServiceCidr(going, [going], [addressFor("10.96.0.5", service("web"))], now)).toEqual({ finalizers: [] });
    const larger = cidr("c", ["10.200.0.0/24"]);
    expect(planServiceCidr(going, [going, larger], [used], now)).toEqual({ finalizers: [] });
    const smaller = cidr("d", ["10.200.0.4/30"]);
    expect(planServiceCidr(going, [going, smaller], [used], now)).toEqual({ finalizers: [] });
  });
});

describe("Service addresses with the API server", () => {
  let plane: InProcessCluster;
  const { ipAddresses, serviceCidrs } = addressResources;
  beforeEach(() => {
    plane = new InProcessCluster(["10.96.0.0/24"]);
  });
  afterEach(async () => await plane.stop());
  const until = async (what: () => Promise<unknown>, expected: unknown) =>
    await expect.poll(what, { interval: 5, timeout: 15_000 }).toEqual(expected);
  const exists = async (ip: string) =>
    await plane.client.get<IpAddress>(ipAddresses, ip).then(
      () => true,
      (error: unknown) => !isNotFound(error),
    );
  const create = async (name: string, clusterIP: string) =>
    await plane.client.create(resources.services, {
      metadata: { name, namespace: "default" },
      spec: { clusterIP, selector: { app: name }, ports: [{ port: 80 }] },
    });

  it("an IPAddress deleted by hand comes back, a leaked one goes, with events", async () => {
    await plane.startControllers();
    await create("web", "10.96.0.50");
    await plane.client.delete(ipAddresses, "10.96.0.50");
    await until(() => exists("10.96.0.50"), true);
    await until(
      () => plane.messages("ClusterIPNotAllocated"),
      ["Cluster IP [IPv4]: 10.96.0.50 is not allocated; repairing"],
    );
    await plane.client.create(ipAddresses, addressFor("10.96.0.60", service("nobody")));
    await until(() => exists("10.96.0.60"), false);
    const mine = { ...addressFor("10.96.0.70", service("nobody")), metadata: { name: "10.96.0.70" } };
    await plane.client.create(ipAddresses, mine);
    await until(async () => (await plane.messages("IPAddressNotAllocated")).length, 1);
    expect(await exists("10.96.0.70")).toBe(true);
  });

  it("says nothing of Services that come and go as they should", async () => {
    const controllers = await plane.startControllers();
    for (let i = 0; i < 20; i++) await create(`s${i}`, `10.96.0.${100 + i}`);
    for (let i = 0; i < 20; i++) await plane.client.delete(resources.services, `s${i}`, "default");
    await controllers.idle();
    await plane.stopControllers(); // sends the events that wait
    const { items } = await plane.client.list(resources.events);
    expect(items.filter(({ source }) => source?.component === "ipallocator-repair-controller")).toEqual([]);
  });

  it("are repaired when the controllers come to a state that has leaks and gaps", async () => {
    await create("web", "10.96.0.50");
    await plane.client.delete(ipAddresses, "10.96.0.50");
    const labels = { [managedByLabel]: managedBy, "ipaddress.kubernetes.io/ip-family": "IPv4" };
    await plane.client.create(ipAddresses, {
      ...addressFor("10.96.0.99", service("lost")),
      metadata: { name: "10.96.0.99", labels },
    });
    await plane.startControllers();
    await until(async () => [await exists("10.96.0.50"), await exists("10.96.0.99")], [true, false]);
  });

  it("keep their ServiceCIDR until the last of them is gone", async () => {
    await plane.startControllers();
    await plane.client.create(serviceCidrs, { metadata: { name: "more" }, spec: { cidrs: ["10.200.0.0/28"] } });
    const ready = async (name: string) =>
      (await plane.client.get<ServiceCidr>(serviceCidrs, name)).status?.conditions?.map(({ type, status, reason }) => [
        type,
        status,
        reason,
      ]);
    await until(() => ready("more"), [["Ready", "True", ""]]);
    await until(() => ready("kubernetes"), [["Ready", "True", ""]]);
    await create("web", "10.200.0.5");
    await plane.client.delete(serviceCidrs, "more");
    await until(() => ready("more"), [["Ready", "False", "Terminating"]]);
    await plane.client.delete(resources.services, "web", "default");
    await until(
      async () =>
        await plane.client.get(serviceCidrs, "more").then(
          () => false,
          (error: unknown) => isNotFound(error),
        ),
      true,
    );
  });
});
