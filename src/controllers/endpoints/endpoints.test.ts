import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Endpoint, EndpointSlice, Node, Pod, Service, ServiceSpec } from "#api/index.ts";
import { withHints } from "./hints.ts";
import { planEndpoints } from "./legacy.ts";
import { type EndpointGroup, endpointGroups } from "./model.ts";
import { maxEndpointsPerSlice, planSlices } from "./slices.ts";
import { TriggerTimes } from "./trigger.ts";

function service(spec: Partial<ServiceSpec> = {}): Service {
  return {
    metadata: { name: "web", namespace: "shop", uid: "s", labels: { team: "a" } },
    spec: { clusterIP: "10.96.0.9", selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
}

function pod(
  name: string,
  more: {
    ip?: string | string[];
    ready?: boolean;
    phase?: "Running" | "Succeeded";
    deleted?: boolean;
    port?: number;
    spec?: Partial<Pod["spec"]>;
  } = {},
): Pod {
  const ips = [more.ip ?? `10.244.1.${name.length + 1}`].flat();
  return {
    metadata: { name, namespace: "shop", uid: `uid-${name}`, ...(more.deleted ? { deletionTimestamp: "now" } : {}) },
    spec: {
      nodeName: "node01",
      containers: [{ name: "c", ports: [{ name: "http", containerPort: more.port ?? 8080 }] }],
      ...more.spec,
    },
    status: {
      phase: more.phase ?? "Running",
      podIPs: ips.filter((ip) => ip !== "").map((ip) => ({ ip })),
      conditions: [{ type: "Ready", status: more.ready === false ? "False" : "True" }],
    },
  };
}

const node01: Node = { metadata: { name: "node01", labels: { "topology.kubernetes.io/zone": "a" } } };
const groups = (one: Service, pods: Pod[]) =>
  endpointGroups(one, pods, (name) => (name === "node01" ? node01 : undefined));
const conditions = (one: Service, pods: Pod[]) =>
  groups(one, pods).flatMap(({ endpoints }) =>
    endpoints.map(({ targetRef, conditions: c }) => [targetRef?.name, c?.ready, c?.serving, c?.terminating]),
  );

describe("V03 (part: EndpointSlices and Endpoints from selectors)", () => {
  it("marks ready, serving and terminating; leaves pods without address and ended ones out", () => {
    const pods = [
      pod("ready"),
      pod("unready", { ready: false }),
      pod("leaving", { deleted: true }),
      pod("stopped", { deleted: true, ready: false }),
      pod("ended", { phase: "Succeeded" }),
      pod("new", { ip: "" }),
    ];
    expect(conditions(service(), pods)).toEqual([
      ["ready", true, true, false],
      ["unready", false, false, false],
      ["leaving", false, true, true],
      ["stopped", false, false, true],
    ]);
    const published = conditions(service({ publishNotReadyAddresses: true }), pods);
    expect(published.map(([, ready]) => ready)).toEqual([true, true, true, true]);
  });

  it("resolves named ports per pod and groups by what they resolve to", () => {
    const named = service({ ports: [{ name: "web", port: 80, targetPort: "http" }] });
    const found = groups(named, [pod("a"), pod("bb", { port: 9090 }), pod("ccc")]);
    expect(found.map(({ ports, endpoints }) => [ports, endpoints.length])).toEqual([
      [[{ name: "web", protocol: "TCP", port: 8080 }], 2],
      [[{ name: "web", protocol: "TCP", port: 9090 }], 1],
    ]);
  });

  it("has a group per family in dual stack, headless without ports too", () => {
    const dual = service({ clusterIP: "None", ipFamilies: ["IPv4", "IPv6"], ports: [] });
    const found = groups(dual, [
      pod("a", { ip: ["10.244.0.2", "fd00::2"], spec: { hostname: "a", subdomain: "web" } }),
    ]);
    expect(
      found.map(({ addressType, ports, endpoints }) => [
        addressType,
        ports,
        endpoints[0]?.addresses,
        endpoints[0]?.hostname,
      ]),
    ).toEqual([
      ["IPv4", [], ["10.244.0.2"], "a"],
      ["IPv6", [], ["fd00::2"], "a"],
    ]);
  });

  it("makes slices with upstream's labels and owner", () => {
    const plan = planSlices(service({ clusterIP: "None" }), groups(service(), [pod("a")]), []);
    expect(plan.create).toMatchObject([
      {
        metadata: {
          generateName: "web-",
          labels: {
            team: "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "service.kubernetes.io/headless": "",
          },
          ownerReferences: [
            { apiVersion: "v1", kind: "Service", name: "web", uid: "s", controller: true, blockOwnerDeletion: true },
          ],
        },
        addressType: "IPv4",
        endpoints: [
          { addresses: ["10.244.1.2"], nodeName: "node01", targetRef: { kind: "Pod", name: "a", namespace: "shop" } },
        ],
        ports: [{ name: "", protocol: "TCP", port: 8080 }],
      },
    ]);
  });

  it("keeps one empty slice for a Service without pods, and fills that one", () => {
    const empty = planSlices(service(), [], []);
    expect(empty.create).toMatchObject([{ endpoints: [], ports: [] }]);
    const present = stored(empty.create);
    expect(planSlices(service(), [], present)).toEqual({ create: [], update: [], remove: [] });
    const filled = apply(present, planSlices(service(), groups(service(), [pod("a")]), present));
    expect(filled.map(({ endpoints }) => endpoints.length)).toEqual([1]);
  });

  it("comes to the same endpoints on every path, with full slices and few changes (property)", () => {
    const pods = Array.from({ length: 250 }, (_, i) => pod(`p${i}`, { ip: `10.244.${i >> 8}.${i & 255}` }));
    const steps = fc.array(fc.subarray(pods), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(steps, (path) => {
        let slices: EndpointSlice[] = [];
        for (const members of path) {
          const wanted = groups(service(), members);
          const plan = planSlices(service(), wanted, slices);
          slices = apply(slices, plan);
          expect(planSlices(service(), wanted, slices)).toEqual({ create: [], update: [], remove: [] });
          const names = slices.flatMap(({ endpoints }) => endpoints.map(({ targetRef }) => targetRef?.name));
          expect(names.sort()).toEqual(members.map(({ metadata }) => metadata.name).sort());
          expect(Math.max(...slices.map(({ endpoints }) => endpoints.length))).toBeLessThanOrEqual(
            maxEndpointsPerSlice,
          );
        }
      }),
      { seed: 5, numRuns: 50 },
    );
  });

  it("changes one slice when one endpoint changes", () => {
    const pods = Array.from({ length: 250 }, (_, i) => pod(`p${i}`, { ip: `10.244.${i >> 8}.${i & 255}` }));
    const slices = apply([], planSlices(service(), groups(service(), pods), []));
    expect(slices).toHaveLength(3);
    const changed = pods.map((one, i) => (i === 17 ? pod("p17", { ip: "10.244.0.17", ready: false }) : one));
    const plan = planSlices(service(), groups(service(), changed), slices);
    expect([plan.create.length, plan.update.length, plan.remove.length]).toEqual([0, 1, 0]);
    const gone = planSlices(service(), groups(service(), changed.slice(1)), slices);
    expect([gone.create.length, gone.update.length, gone.remove.length]).toEqual([0, 1, 0]);
  });

  it("writes Endpoints in a fixed order, not-ready apart, terminating left out", () => {
    const pods = [
      pod("bb", { ip: "10.244.1.9" }),
      pod("a", { ip: "10.244.1.5" }),
      pod("no", { ready: false, ip: "10.244.1.7" }),
      pod("bye", { deleted: true }),
    ];
    const wanted = planEndpoints(service(), pods);
    expect(wanted).toMatchObject({
      metadata: { name: "web", labels: { team: "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller" } },
      subsets: [
        {
          addresses: [{ ip: "10.244.1.5", nodeName: "node01" }, { ip: "10.244.1.9" }],
          notReadyAddresses: [{ ip: "10.244.1.7" }],
          ports: [{ port: 8080, protocol: "TCP" }],
        },
      ],
    });
    expect(planEndpoints(service(), [...pods].reverse(), wanted)).toBeUndefined();
    expect(planEndpoints(service(), [], wanted)?.subsets).toEqual([]);
  });

  it("leaves pods of a node that is gone out, unless unready ones are published", () => {
    const pods = [pod("here"), pod("lost", { spec: { nodeName: "gone" } })];
    expect(conditions(service(), pods).map(([name]) => name)).toEqual(["here"]);
    const all = conditions(service({ publishNotReadyAddresses: true }), pods);
    expect(all.map(([name]) => name)).toEqual(["here", "lost"]);
  });

  it("puts new endpoints into one slice that has room, not into all that have", () => {
    const many = Array.from({ length: 300 }, (_, i) => pod(`p${i}`, { ip: `10.244.${i >> 8}.${i & 255}` }));
    const full = apply([], planSlices(service(), groups(service(), many), []));
    // Ten leave each slice; then fifteen come, which fit into no single slice's room.
    const fewer = many.filter((_, i) => i % 100 >= 10);
    const thinned = apply(full, planSlices(service(), groups(service(), fewer), full));
    expect(thinned.map(({ endpoints }) => endpoints.length)).toEqual([90, 90, 90]);
    const some = [...fewer, ...many.filter((_, i) => i % 100 < 1)];
    const three = planSlices(service(), groups(service(), some), thinned);
    expect([three.create.length, three.update.length]).toEqual([0, 1]);
    const more = [...fewer, ...many.filter((_, i) => i % 100 < 5)];
    const fifteen = planSlices(service(), groups(service(), more), thinned);
    expect([fifteen.create.map(({ endpoints }) => endpoints.length), fifteen.update.length]).toEqual([[15], 0]);
  });

  it("keeps a slice's name when the ports change", () => {
    const before = apply([], planSlices(service(), groups(service(), [pod("a")]), []));
    const moved = service({ ports: [{ port: 80, targetPort: 9090 }] });
    const plan = planSlices(moved, groups(moved, [pod("a")]), before);
    expect([plan.create, plan.remove]).toEqual([[], []]);
    expect(plan.update).toMatchObject([{ metadata: { name: before[0]?.metadata.name }, ports: [{ port: 9090 }] }]);
  });

  it("notes when the change happened, on what is written only", () => {
    const at = "2026-01-01T00:00:05Z";
    const first = planSlices(service(), groups(service(), [pod("a")]), [], at);
    const annotation = "endpoints.kubernetes.io/last-change-trigger-time";
    expect(first.create[0]?.metadata.annotations).toEqual({ [annotation]: at });
    expect(planEndpoints(service(), [pod("a")], undefined, at)?.metadata.annotations).toEqual({ [annotation]: at });
    const present = stored(first.create);
    expect(planSlices(service(), groups(service(), [pod("a")]), present, "2027-01-01T00:00:00Z").update).toEqual([]);
    const next = planSlices(service(), groups(service(), [pod("bb")]), present);
    expect(next.update[0]?.metadata.annotations).toEqual({});
  });

  it("takes the earliest of what is new as the time of a change", () => {
    const times = new TriggerTimes();
    const made = { ...service(), metadata: { ...service().metadata, creationTimestamp: "2026-01-01T00:00:00Z" } };
    const at = (name: string, lastTransitionTime: string): Pod => ({
      ...pod(name),
      status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime }] },
    });
    const a = at("a", "2026-01-01T00:00:07Z");
    expect(times.next("k", made, [a])).toBe("2026-01-01T00:00:00Z");
    expect(times.next("k", made, [a])).toBeUndefined();
    const later = [at("a", "2026-01-01T00:01:00Z"), at("b", "2026-01-01T00:00:30Z")];
    expect(times.next("k", made, later)).toBe("2026-01-01T00:00:30Z");
    times.forget("k");
    expect(times.next("k", made, later)).toBe("2026-01-01T00:00:00Z");
  });

  it("cuts Endpoints off at 1,000 addresses, unready ones first, and says so", () => {
    const pods = Array.from({ length: 1200 }, (_, i) =>
      pod(`p${String(i).padStart(4, "0")}`, { ip: `10.244.${i >> 8}.${i & 255}`, ready: i < 900 }),
    );
    const wanted = planEndpoints(service(), pods);
    expect(wanted?.metadata.annotations).toEqual({ "endpoints.kubernetes.io/over-capacity": "truncated" });
    const [subset] = wanted?.subsets ?? [];
    expect([subset?.addresses?.length, subset?.notReadyAddresses?.length]).toEqual([900, 100]);
    const fewer = planEndpoints(service(), pods.slice(0, 10), wanted);
    expect(fewer?.metadata.annotations).toEqual(undefined);
  });
});

describe("hints of endpoints", () => {
  const endpoint = (n: number, zone: string, ready = true): Endpoint => ({
    addresses: [`10.244.0.${n}`],
    conditions: { ready },
    nodeName: `node-${zone}`,
    zone,
  });
  const group = (...endpoints: Endpoint[]): EndpointGroup => ({ addressType: "IPv4", ports: [], endpoints });
  const hints = (one: Service, endpoints: Endpoint[], nodes: Node[] = []) =>
    withHints(one, [group(...endpoints)], nodes).groups[0]?.endpoints.map((each) => each.hints);

  it("follow spec.trafficDistribution, for ready endpoints", () => {
    const both = [endpoint(1, "a"), endpoint(2, "b", false)];
    for (const trafficDistribution of ["PreferClose", "PreferSameZone"])
      expect(hints(service({ trafficDistribution }), both)).toEqual([{ forZones: [{ name: "a" }] }, undefined]);
    expect(hints(service({ trafficDistribution: "PreferSameNode" }), both)).toEqual([
      { forZones: [{ name: "a" }], forNodes: [{ name: "node-a" }] },
      undefined,
    ]);
    expect(hints(service(), both)).toEqual([undefined, undefined]);
  });

  const auto: Service = {
    ...service(),
    metadata: { ...service().metadata, annotations: { "service.kubernetes.io/topology-mode": "Auto" } },
  };
  const worker = (name: string, zone: string, cpu = "4", labels = {}): Node => ({
    metadata: { name, labels: { "topology.kubernetes.io/zone": zone, ...labels } },
    status: { conditions: [{ type: "Ready", status: "True" }], allocatable: { cpu } },
  });
  const three = [worker("x", "a"), worker("y", "b"), worker("z", "c")];
  const zonesOf = (found: ReturnType<typeof hints>) => found?.map((hint) => hint?.forZones?.[0]?.name).sort();

  it("share endpoints out by the zones' processors with topology-mode Auto", () => {
    const even = ["a", "a", "b", "b", "c", "c"].map((zone, i) => endpoint(i, zone));
    expect(zonesOf(hints(auto, even, three))).toEqual(["a", "a", "b", "b", "c", "c"]);
    // Zone c has a third of the processors and no endpoint: it is lent what others can spare.
    const skewed = ["a", "a", "a", "b", "b", "b"].map((zone, i) => endpoint(i, zone));
    const zones = zonesOf(hints(auto, skewed, three)) ?? [];
    for (const zone of ["a", "b", "c"]) expect(zones.filter((one) => one === zone)).toHaveLength(2);
    const master = worker("m", "d", "64", { "node-role.kubernetes.io/control-plane": "" });
    expect(zonesOf(hints(auto, even, [...three, master]))).toEqual(["a", "a", "b", "b", "c", "c"]);
  });

  it("are left out where shares cannot be had, with upstream's reasons", () => {
    const problem = (endpoints: Endpoint[], nodes: Node[]) => withHints(auto, [group(...endpoints)], nodes).problem;
    expect(problem([endpoint(1, "a"), endpoint(2, "b")], three)).toBe(
      "Insufficient number of endpoints (2 endpoints, 3 zones), addressType: IPv4",
    );
    const nowhere = { ...worker("w", ""), metadata: { name: "w" } };
    expect(problem([endpoint(1, "a")], [...three, nowhere])).toBe(
      "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, addressType: IPv4",
    );
    const uneven = [worker("x", "a", "10"), worker("y", "b", "1")];
    expect(problem([endpoint(1, "a"), endpoint(2, "b")], uneven)).toBe(
      "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (2 endpoints, 2 zones), addressType: IPv4",
    );
  });
});

let number = 0;
function stored(slices: readonly EndpointSlice[]): EndpointSlice[] {
  return slices.map((slice) => ({ ...slice, metadata: { ...slice.metadata, name: `web-${number++}` } }));
}

function apply(slices: readonly EndpointSlice[], plan: ReturnType<typeof planSlices>): EndpointSlice[] {
  const updated = new Map(plan.update.map((slice) => [slice.metadata.name, slice]));
  const gone = new Set(plan.remove.map(({ metadata }) => metadata.name));
  const kept = slices.filter(({ metadata }) => !gone.has(metadata.name));
  return [...kept.map((slice) => updated.get(slice.metadata.name) ?? slice), ...stored(plan.create)];
}
