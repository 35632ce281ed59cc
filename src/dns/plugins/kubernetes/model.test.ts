import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { formatRecord, lowerName, typeNumber } from "#wire/dns/index.ts";
import { ClusterIndex } from "./clusterIndex.ts";
import { ClusterRecords } from "./model.ts";
import type { RecordOptions } from "./options.ts";
import { clusterObjects, pod, service, slice, testIndex } from "./testCluster.ts";

const defaults: RecordOptions = {
  primaryZone: "cluster.local.",
  ttl: 5,
  podMode: "insecure",
  endpointPodNames: false,
  ignoreEmptyService: false,
};

function ask(question: string, options: Partial<RecordOptions> = {}, index = testIndex()): string[] {
  const [name, typeText] = question.split(" ") as [string, string];
  const owner = `${name}.`;
  const zone = owner.endsWith("arpa.")
    ? owner.endsWith("ip6.arpa.")
      ? "ip6.arpa."
      : "in-addr.arpa."
    : "cluster.local.";
  const records = new ClusterRecords(index, { ...defaults, ...options }, [parseIp("10.244.0.2")]);
  const answer = records.lookup(owner, lowerName(owner), zone, typeNumber(typeText) as number);
  if (answer.kind === "records") {
    return [
      ...answer.records.map(formatRecord),
      ...(answer.additionals ?? []).map((record) => `+ ${formatRecord(record)}`),
    ];
  }
  return answer.kind === "alias" ? [formatRecord(answer.record)] : [answer.kind];
}

describe("X01 DNS-based service discovery 1.1.0 (part: every record of the specification)", () => {
  const reverse6 = "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa";
  it.each<[string, string[]]>([
    // §2.2 schema version
    ["dns-version.cluster.local TXT", ['dns-version.cluster.local. 5 IN TXT "1.1.0"']],
    ["dns-version.cluster.local A", ["nodata"]],
    // §2.3 Services with a cluster address
    ["kubernetes.default.svc.cluster.local A", ["kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.1"]],
    ["kubernetes.default.svc.cluster.local AAAA", ["nodata"]],
    ["KuberneTes.default.svc.cluster.local A", ["KuberneTes.default.svc.cluster.local. 5 IN A 10.96.0.1"]],
    ["dual.default.svc.cluster.local AAAA", ["dual.default.svc.cluster.local. 5 IN AAAA fd00:96::3"]],
    ["dual.default.svc.cluster.local A", ["dual.default.svc.cluster.local. 5 IN A 10.96.3.3"]],
    [
      "_https._tcp.kubernetes.default.svc.cluster.local SRV",
      [
        "_https._tcp.kubernetes.default.svc.cluster.local. 5 IN SRV 0 100 443 kubernetes.default.svc.cluster.local.",
        "+ kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.1",
      ],
    ],
    ["_https._udp.kubernetes.default.svc.cluster.local SRV", ["nxdomain"]],
    ["_nope._tcp.kubernetes.default.svc.cluster.local SRV", ["nxdomain"]],
    ["_tcp.kubernetes.default.svc.cluster.local SRV", ["nodata"]],
    ["_udp.kubernetes.default.svc.cluster.local SRV", ["nxdomain"]],
    ["1.0.96.10.in-addr.arpa PTR", ["1.0.96.10.in-addr.arpa. 5 IN PTR kubernetes.default.svc.cluster.local."]],
    [`${reverse6} PTR`, [`${reverse6}. 5 IN PTR dual.default.svc.cluster.local.`]],
    ["1.0.96.10.in-addr.arpa A", ["nodata"]],
    ["9.9.96.10.in-addr.arpa PTR", ["nxdomain"]],
    ["0.96.10.in-addr.arpa PTR", ["nxdomain"]],
    // §2.4 headless Services: ready endpoints only, unless the Service publishes the others
    [
      "hdls.default.svc.cluster.local A",
      ["hdls.default.svc.cluster.local. 5 IN A 10.244.1.1", "hdls.default.svc.cluster.local. 5 IN A 10.244.2.2"],
    ],
    ["hdls.default.svc.cluster.local AAAA", ["hdls.default.svc.cluster.local. 5 IN AAAA fd00:244::1"]],
    ["hdls-empty.default.svc.cluster.local A", ["nxdomain"]],
    ["hdls-early.default.svc.cluster.local A", ["hdls-early.default.svc.cluster.local. 5 IN A 10.244.2.9"]],
    ["my-pet.hdls.default.svc.cluster.local A", ["my-pet.hdls.default.svc.cluster.local. 5 IN A 10.244.1.1"]],
    ["10-244-2-2.hdls.default.svc.cluster.local A", ["10-244-2-2.hdls.default.svc.cluster.local. 5 IN A 10.244.2.2"]],
    ["10-244-2-3.hdls.default.svc.cluster.local A", ["nxdomain"]],
    [
      "fd00-244--1.hdls.default.svc.cluster.local AAAA",
      ["fd00-244--1.hdls.default.svc.cluster.local. 5 IN AAAA fd00:244::1"],
    ],
    [
      "_http._tcp.hdls.default.svc.cluster.local SRV",
      [
        "_http._tcp.hdls.default.svc.cluster.local. 5 IN SRV 0 33 80 fd00-244--1.hdls.default.svc.cluster.local.",
        "_http._tcp.hdls.default.svc.cluster.local. 5 IN SRV 0 33 80 my-pet.hdls.default.svc.cluster.local.",
        "_http._tcp.hdls.default.svc.cluster.local. 5 IN SRV 0 33 80 10-244-2-2.hdls.default.svc.cluster.local.",
        "+ fd00-244--1.hdls.default.svc.cluster.local. 5 IN AAAA fd00:244::1",
        "+ my-pet.hdls.default.svc.cluster.local. 5 IN A 10.244.1.1",
        "+ 10-244-2-2.hdls.default.svc.cluster.local. 5 IN A 10.244.2.2",
      ],
    ],
    ["1.1.244.10.in-addr.arpa PTR", ["1.1.244.10.in-addr.arpa. 5 IN PTR my-pet.hdls.default.svc.cluster.local."]],
    ["3.2.244.10.in-addr.arpa PTR", ["nxdomain"]],
    // §2.5 ExternalName
    ["ext.default.svc.cluster.local A", ["ext.default.svc.cluster.local. 5 IN CNAME www.example.com."]],
    // pods by address
    ["10-244-2-5.default.pod.cluster.local A", ["10-244-2-5.default.pod.cluster.local. 5 IN A 10.244.2.5"]],
    ["10-244-2-5.default.pod.cluster.local AAAA", ["nodata"]],
    ["10-244-2-5.nowhere.pod.cluster.local A", ["nxdomain"]],
    ["fd00--5.default.pod.cluster.local AAAA", ["fd00--5.default.pod.cluster.local. 5 IN AAAA fd00::5"]],
    ["web.default.pod.cluster.local A", ["nxdomain"]],
    // names without records, and names that are not there
    ["svc.cluster.local A", ["nodata"]],
    ["pod.cluster.local A", ["nodata"]],
    ["empty.svc.cluster.local A", ["nodata"]],
    ["empty.pod.cluster.local A", ["nodata"]],
    ["nowhere.svc.cluster.local A", ["nxdomain"]],
    ["nope.default.svc.cluster.local A", ["nxdomain"]],
    ["wear-service.default.svc.cluster.local A", ["nxdomain"]],
    ["a.b._http._tcp.hdls.default.svc.cluster.local SRV", ["nxdomain"]],
    ["www.example.com.cluster.local A", ["nxdomain"]],
    // the zone itself: named after the Service that this server is behind
    [
      "cluster.local NS",
      [
        "cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local.",
        "+ kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10",
      ],
    ],
    ["cluster.local A", ["nodata"]],
    ["ns.dns.cluster.local A", ["ns.dns.cluster.local. 5 IN A 10.96.0.10"]],
    ["dns.cluster.local A", ["nodata"]],
  ])("%s", (question, expected) => {
    expect(ask(question).sort()).toEqual([...expected].sort());
  });

  it("pods disabled, verified", () => {
    expect(ask("10-244-2-5.default.pod.cluster.local A", { podMode: "disabled" })).toEqual(["nxdomain"]);
    expect(ask("10-244-2-5.default.pod.cluster.local A", { podMode: "verified" })).toEqual([
      "10-244-2-5.default.pod.cluster.local. 5 IN A 10.244.2.5",
    ]);
    expect(ask("10-244-2-6.default.pod.cluster.local A", { podMode: "verified" })).toEqual(["nxdomain"]);
    expect(ask("10-244-2-5.empty.pod.cluster.local A", { podMode: "verified" })).toEqual(["nxdomain"]);
    const finished = testIndex();
    finished.setPod({ ...pod("web", "10.244.2.5"), status: { phase: "Succeeded", podIP: "10.244.2.5" } } as never);
    expect(ask("10-244-2-5.default.pod.cluster.local A", { podMode: "verified" }, finished)).toEqual(["nxdomain"]);
  });

  it("options: namespaces, endpoint_pod_names, ignore empty_service, ttl", () => {
    const only = { namespaces: new Set(["app-space"]) };
    expect(ask("wear-service.app-space.svc.cluster.local A", only)).toHaveLength(1);
    expect(ask("kubernetes.default.svc.cluster.local A", only)).toEqual(["nxdomain"]);
    expect(ask("default.svc.cluster.local A", only)).toEqual(["nxdomain"]);
    expect(ask("1.0.96.10.in-addr.arpa PTR", only)).toEqual(["nxdomain"]);
    expect(ask("pod-10x244x2x2.hdls.default.svc.cluster.local A", { endpointPodNames: true })).toHaveLength(1);
    expect(ask("my-pet.hdls.default.svc.cluster.local A", { endpointPodNames: true })).toHaveLength(1);
    expect(ask("kubernetes.default.svc.cluster.local A", { ignoreEmptyService: true })).toEqual(["nxdomain"]);
    expect(ask("wear-service.app-space.svc.cluster.local A", { ignoreEmptyService: true })).toHaveLength(1);
    expect(ask("kubernetes.default.svc.cluster.local A", { ttl: 30 })).toEqual([
      "kubernetes.default.svc.cluster.local. 30 IN A 10.96.0.1",
    ]);
  });

  it("an endpoint of a Service with a cluster address has a name and a reverse record too", () => {
    expect(ask("5.1.244.10.in-addr.arpa PTR")).toEqual([
      "5.1.244.10.in-addr.arpa. 5 IN PTR 10-244-1-5.wear-service.app-space.svc.cluster.local.",
    ]);
    expect(ask("10-244-1-5.wear-service.app-space.svc.cluster.local A")).toHaveLength(1);
  });
});

describe("X01 the cluster's index (part: state, not path)", () => {
  type Step = (index: ClusterIndex) => void;
  const { namespaces, services, slices, pods } = clusterObjects();
  const state = (index: ClusterIndex) =>
    [
      "hdls.default.svc.cluster.local A",
      "kubernetes.default.svc.cluster.local A",
      "dual.default.svc.cluster.local AAAA",
      "1.1.244.10.in-addr.arpa PTR",
      "1.0.96.10.in-addr.arpa PTR",
      "9.9.96.10.in-addr.arpa PTR",
      "default.svc.cluster.local A",
      "10-244-2-5.default.pod.cluster.local A",
    ].map((question) => ask(question, { podMode: "verified" }, index));
  const noise: Step[] = [
    (index) => index.setService(service("kubernetes", { clusterIP: "10.96.9.9" })),
    (index) => index.setService(service("extra", { clusterIP: "10.96.9.9" })),
    (index) => index.setSlice(slice("hdls", ["10.244.1.1@other", "10.244.1.8", "10.244.2.2"], [])),
    (index) => index.setPod(pod("web", "10.244.2.77")),
    (index) => index.deleteService("default/hdls"),
    (index) => index.deleteSlice("default/hdls-3"),
    (index) => index.deleteNamespace("default"),
    (index) => index.deletePod("default/web"),
    (index) => index.deleteService("default/never-there"),
  ];
  const build: Step[] = [
    ...namespaces.map(
      (object): Step =>
        (index) =>
          index.setNamespace(object),
    ),
    ...services.map(
      (object): Step =>
        (index) =>
          index.setService(object),
    ),
    ...slices.map(
      (object): Step =>
        (index) =>
          index.setSlice(object),
    ),
    ...pods.map(
      (object): Step =>
        (index) =>
          index.setPod(object),
    ),
    (index) => index.deleteService("default/extra"),
  ];

  it("any history that ends in the same objects answers the same", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...noise, ...build), { maxLength: 30 }),
        fc.shuffledSubarray(build, { minLength: build.length }),
        (history, ending) => {
          const index = new ClusterIndex();
          for (const step of history) step(index);
          for (const step of ending) step(index);
          expect(state(index)).toEqual(state(testIndex()));
        },
      ),
      { seed: 7, numRuns: 60 },
    );
  });

  it("does not grow by changes", () => {
    const index = testIndex();
    for (let i = 0; i < 100; i++) index.setService(service("kubernetes", { clusterIP: `10.96.0.${i}` }));
    index.setService(service("kubernetes", { clusterIP: "10.96.0.1" }));
    expect(ask("50.0.96.10.in-addr.arpa PTR", {}, index)).toEqual(["nxdomain"]);
    expect(ask("1.0.96.10.in-addr.arpa PTR", {}, index)).toHaveLength(1);
  });
});
