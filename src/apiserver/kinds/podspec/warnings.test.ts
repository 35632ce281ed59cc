import type { V1PodSpec } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dict } from "../../object.ts";
import { ask } from "../../testing/client.ts";
import { type LocalServer, startLocalServer } from "../../testing/local.ts";
import { podWarnings } from "./warnings.ts";

// Source: k8s.io/kubernetes/pkg/api/pod/warnings.go, pkg/api/service/warnings.go, pkg/registry/*/strategy.go.

const told = (spec: Partial<V1PodSpec>, container: object = {}) =>
  podWarnings({ metadata: {}, spec: { containers: [{ name: "c", image: "x", ...container }], ...spec } });

describe("warnings of pods", () => {
  it.each<[Partial<V1PodSpec>, object, string[]]>([
    [{}, {}, []],
    [
      { nodeSelector: { "beta.kubernetes.io/os": "linux" } },
      {},
      ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
    ],
    [
      {
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: "failure-domain.beta.kubernetes.io/zone", whenUnsatisfiable: "DoNotSchedule" },
        ],
      },
      {},
      [
        'spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
      ],
    ],
    [
      { volumes: [{ name: "v", gitRepo: { repository: "x" } }] },
      {},
      ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
    ],
    [
      { hostAliases: [{ ip: "1.1.1.1" }, { ip: "1.1.1.1" }], imagePullSecrets: [{ name: "a" }, { name: "a" }] },
      {},
      ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"', 'spec.imagePullSecrets[1].name: duplicate name "a"'],
    ],
    [
      {},
      { resources: { requests: { memory: "100m" }, limits: { memory: "1Gi", cpu: "100m" } } },
      ['spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer'],
    ],
    [
      {},
      {
        env: [
          { name: "A", value: "1" },
          { name: "A", value: "$(A)2" },
          { name: "B", value: "1" },
          { name: "B", value: "2" },
        ],
      },
      ['spec.containers[0].env[3]: hides previous definition of "B", which may be dropped when using apply'],
    ],
    [
      { initContainers: [{ name: "i", image: "x", ports: [{ containerPort: 80, protocol: "TCP" }] }] },
      {
        ports: [
          { containerPort: 80, protocol: "TCP" },
          { containerPort: 80, protocol: "UDP" },
          { containerPort: 80, protocol: "TCP", hostPort: 8080 },
        ],
      },
      [
        "spec.containers[0].ports[0]: duplicate port definition with spec.initContainers[0].ports[0]",
        "spec.containers[0].ports[2]: overlapping port definition with spec.initContainers[0].ports[0]",
        "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
      ],
    ],
    [
      { terminationGracePeriodSeconds: -1 },
      {},
      ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"],
    ],
  ])("%#", (spec, container, warnings) => expect(told(spec, container)).toEqual(warnings));
});

describe("warnings of writes", () => {
  let local: LocalServer;
  beforeAll(async () => {
    local = await startLocalServer();
  });
  afterAll(() => local.server.stop());
  const warning = async (method: string, path: string, body: Dict) => {
    const headers = method === "PATCH" ? { "content-type": "application/merge-patch+json" } : {};
    const answer = await ask(local.api, method, path, body, headers);
    return [answer.status, answer.headers.warning];
  };

  it("come with a template, again when it changes, and not when it is refused", async () => {
    const path = "/apis/apps/v1/namespaces/default/deployments";
    const labels = { app: "d" };
    const env = [
      { name: "A", value: "1" },
      { name: "A", value: "2" },
    ];
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "x", env }] } };
    const body = { metadata: { name: "a.b" }, spec: { selector: { matchLabels: labels }, template } };
    const hides =
      '299 - "spec.template.spec.containers[0].env[1]: hides previous definition of \\"A\\", which may be dropped when using apply"';
    const [status, text] = await warning("POST", path, body);
    expect([status, text]).toEqual([
      201,
      expect.stringMatching(
        /^299 - "metadata\.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: \[a lowercase RFC 1123 label must consist/,
      ),
    ]);
    expect(text).toContain(`, ${hides}`);
    expect(await warning("PATCH", `${path}/a.b`, { spec: { replicas: 2 } })).toEqual([200, undefined]);
    const changed = { spec: { template: { metadata: { annotations: { a: "b" } } } } };
    expect(await warning("PATCH", `${path}/a.b`, changed)).toEqual([200, hides]);
    expect(await warning("POST", path, { ...body, metadata: { name: "A" } })).toEqual([422, undefined]);
  });

  it("come with Ingresses of an old class and with fields of Services that have no effect", async () => {
    const annotations = { "kubernetes.io/ingress.class": "nginx" };
    const ingress = {
      metadata: { name: "i", annotations },
      spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } },
    };
    expect(await warning("POST", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)).toEqual([
      201,
      '299 - "annotation \\"kubernetes.io/ingress.class\\" is deprecated, please use \'spec.ingressClassName\' instead"',
    ]);
    const services = "/api/v1/namespaces/default/services";
    const headless = { clusterIP: "None", sessionAffinity: "ClientIP", ports: [{ port: 80 }] };
    expect(await warning("POST", services, { metadata: { name: "h" }, spec: headless })).toEqual([
      201,
      '299 - "spec.SessionAffinity is ignored for headless services"',
    ]);
    const named = { externalName: "a.example.com", ports: [{ port: 80 }] };
    expect(await warning("POST", services, { metadata: { name: "n" }, spec: named })).toEqual([
      201,
      '299 - "spec.externalName is ignored when spec.type is not \\"ExternalName\\""',
    ]);
  });
});

describe("warnings of ports", () => {
  const ports = (...all: object[]) => told({}, { ports: all.map((p) => ({ protocol: "TCP", ...p })) });
  const at = (i: number) => `spec.containers[0].ports[${i}]`;
  const warns = (i: number, how: string, other: number) => `${at(i)}: ${how} port definition with ${at(other)}`;

  // Expected: the rules of warningsForPodSpec (pkg/api/pod/warnings.go), and cases of its test.
  it.each<[string, object[], string[]]>([
    [
      "other numbers and protocols",
      [{ containerPort: 1 }, { containerPort: 2 }, { containerPort: 1, protocol: "UDP" }],
      [],
    ],
    [
      "the same again, with each before it",
      [{ containerPort: 80 }, { containerPort: 80 }, { containerPort: 80 }],
      [warns(1, "duplicate", 0), warns(2, "duplicate", 0), warns(2, "duplicate", 1)],
    ],
    [
      "a port of the host on one side",
      [{ containerPort: 80, hostPort: 80 }, { containerPort: 80 }, { containerPort: 80, hostPort: 81 }],
      [warns(1, "overlapping", 0), warns(2, "overlapping", 1)],
    ],
    [
      "one port of the host, at an address and at all",
      [
        { containerPort: 80, hostPort: 80, hostIP: "10.0.0.1" },
        { containerPort: 80, hostPort: 80 },
        { containerPort: 80, hostPort: 80, hostIP: "10.0.0.2" },
      ],
      [warns(1, "dangerously ambiguous", 0), warns(2, "dangerously ambiguous", 1)],
    ],
    [
      "all at once, in the order of the ports before",
      [
        { containerPort: 80, hostPort: 80, hostIP: "10.0.0.1" },
        { containerPort: 80, hostIP: "10.0.0.1" },
        { containerPort: 80, hostPort: 80, hostIP: "10.0.0.1" },
        { containerPort: 80, hostPort: 80 },
      ],
      [
        warns(1, "overlapping", 0),
        warns(2, "duplicate", 0),
        warns(2, "overlapping", 1),
        warns(3, "dangerously ambiguous", 0),
        warns(3, "overlapping", 1),
        warns(3, "dangerously ambiguous", 2),
      ],
    ],
  ])("%s", (_, all, expected) => expect(ports(...all)).toEqual(expected));

  it("of 30,000 ports are no more than an answer shows", () => {
    const some = ports(...Array.from({ length: 30_000 }, () => ({ containerPort: 80 })));
    expect(some.slice(0, 3)).toEqual([warns(1, "duplicate", 0), warns(2, "duplicate", 0), warns(2, "duplicate", 1)]);
    expect(some.join("").length).toBeGreaterThan(4096);
    expect(some.length).toBeLessThan(200);
  });

  it("of 1,000 equal ports are told in a header that clients take", async () => {
    const local = await startLocalServer();
    const all = Array.from({ length: 1000 }, () => ({ containerPort: 80 }));
    const { status, headers } = await ask(local.api, "POST", "/apis/apps/v1/namespaces/default/deployments", {
      metadata: { name: "many" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: {
          metadata: { labels: { a: "b" } },
          spec: { containers: [{ name: "c", image: "x", ports: all }] },
        },
      },
    });
    await local.server.stop();
    expect(status).toBe(201);
    expect(headers.warning).toContain(
      `spec.template.${warns(1, "duplicate", 0).replace("with ", "with spec.template.")}`,
    );
    expect(headers.warning?.length).toBeLessThan(8192);
  });
});
