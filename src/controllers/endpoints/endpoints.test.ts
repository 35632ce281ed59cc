import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, Pod, Service, ServiceSpec } from "#api/index.ts";
import { planEndpoints } from "./legacy.ts";
import { endpointGroups } from "./model.ts";
import { maxEndpointsPerSlice, planSlices } from "./slices.ts";

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

const groups = (one: Service, pods: Pod[]) => endpointGroups(one, pods, () => undefined);
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
