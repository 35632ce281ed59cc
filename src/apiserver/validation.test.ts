import { afterAll, beforeAll, describe, it } from "vitest";
import type { LocalServer } from "./testing/local.ts";
import { port, type Row, refused, selector, startForPods, template } from "./testing/refusals.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startForPods();
});
afterAll(() => local.server.stop());

const services: readonly Row[] = [
  [
    "headless with a node port type",
    { spec: { type: "NodePort", clusterIP: "None", ports: [port] } },
    "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
  ],
  [
    "a port twice",
    {
      spec: {
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      },
    },
    'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
  ],
  [
    "externalTrafficPolicy of a ClusterIP",
    { spec: { externalTrafficPolicy: "Local", ports: [port] } },
    'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
  ],
  [
    "load balancer fields of a ClusterIP",
    { spec: { loadBalancerClass: "a.io/b", allocateLoadBalancerNodePorts: true, ports: [port] } },
    "[spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer', spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer']",
  ],
  [
    "external addresses that are special",
    { spec: { externalIPs: ["127.0.0.1"], ports: [port] } },
    'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ],
  [
    "affinity for longer than a day",
    {
      spec: {
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } },
        ports: [port],
      },
    },
    "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
  ],
  ["an external name that is missing", { spec: { type: "ExternalName" } }, "spec.externalName: Required value"],
  [
    "dual stack where there is one family",
    { spec: { ipFamilyPolicy: "RequireDualStack", ports: [port] } },
    "this cluster is not configured for dual-stack services",
  ],
];

const workloads: readonly Row[] = [
  [
    "apps/v1 Deployment deployments: a deadline and an ephemeral container",
    { spec: { selector, template: template({ activeDeadlineSeconds: 5 }) } },
    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
  ],
  [
    "apps/v1 Deployment deployments: shares",
    {
      spec: { selector, template: template(), strategy: { rollingUpdate: { maxUnavailable: "101%", maxSurge: "1" } } },
    },
    "[spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%, spec.strategy.rollingUpdate.maxSurge: Invalid value: \"1\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')]",
  ],
  [
    "apps/v1 Deployment deployments: an empty selector",
    { spec: { selector: {}, template: template() } },
    "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
  ],
  [
    "apps/v1 StatefulSet statefulsets: an empty selector and a strategy",
    { spec: { selector: {}, template: template(), updateStrategy: { type: "Odd" } } },
    "[spec.selector: Invalid value: {}: empty selector is invalid for statefulset, spec.updateStrategy: Invalid value: {\"type\":\"Odd\"}: must be 'RollingUpdate' or 'OnDelete']",
  ],
  [
    "apps/v1 DaemonSet daemonsets: surge beside unavailable",
    { spec: { selector, template: template(), updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } } },
    "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
  ],
  [
    "batch/v1 Job jobs: a selector of one's own",
    { spec: { selector, template: template({ restartPolicy: "Never" }) } },
    'spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: `selector` not auto-generated',
  ],
  [
    "batch/v1 Job jobs: indexed without completions",
    { spec: { completionMode: "Indexed", parallelism: 1, template: template({ restartPolicy: "Never" }) } },
    "spec.completions: Required value: when completion mode is Indexed",
  ],
  [
    "batch/v1 CronJob cronjobs: a schedule of three fields",
    { spec: { schedule: "* * *", jobTemplate: { spec: { template: template({ restartPolicy: "Never" }) } } } },
    'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]',
  ],
  [
    "batch/v1 CronJob cronjobs: minute 60 and a zone that is none",
    {
      spec: {
        schedule: "60 * * * *",
        timeZone: "Mars/Base",
        jobTemplate: { spec: { template: template({ restartPolicy: "Never" }) } },
      },
    },
    '[spec.schedule: Invalid value: "60 * * * *": end of range (60) above maximum (59): 60, spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base]',
  ],
];

const others: readonly Row[] = [
  [
    "v1 Secret secrets: a TLS secret without its key",
    { type: "kubernetes.io/tls", data: { "tls.crt": "" } },
    "data[tls.key]: Required value",
  ],
  [
    "v1 ResourceQuota resourcequotas: a resource that nobody counts",
    { spec: { hard: { bananas: "3" } } },
    '[spec.hard[bananas]: Invalid value: "bananas": must be a standard resource type or fully qualified, spec.hard[bananas]: Invalid value: "bananas": must be a standard resource for quota]',
  ],
  [
    "v1 Secret secrets: a registry's credentials that are no JSON",
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "nojson" } },
    "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'o' in literal null (expecting 'u')",
  ],
  [
    "v1 LimitRange limitranges: a type that is none",
    { spec: { limits: [{ type: "Foo", min: { cpu: "2" } }] } },
    'spec.limits[0].type: Invalid value: "Foo": must be a standard limit type or fully qualified',
  ],
  [
    "networking.k8s.io/v1 NetworkPolicy networkpolicies: its types come last",
    { spec: { podSelector: {}, policyTypes: ["Foo"], ingress: [{ ports: [{ port: 0 }] }] } },
    '[spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, spec.policyTypes[0]: Unsupported value: "Foo": supported values: "Egress", "Ingress"]',
  ],
  [
    "v1 LimitRange limitranges: a least above the most",
    { spec: { limits: [{ type: "Container", min: { cpu: "2" }, max: { cpu: "1" } }] } },
    'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
  ],
  [
    "v1 PersistentVolumeClaim persistentvolumeclaims: modes and no size",
    { spec: { accessModes: ["ReadWriteOncePod", "ReadOnlyMany"], resources: { requests: {} } } },
    "[spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes, spec.resources[storage]: Required value]",
  ],
  [
    "networking.k8s.io/v1 NetworkPolicy networkpolicies: an exception outside of the block",
    { spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }] }] } },
    'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
  ],
  [
    "discovery.k8s.io/v1 EndpointSlice endpointslices: addresses of the other family",
    { addressType: "IPv4", endpoints: [{ addresses: ["fd00::1"] }], ports: [] },
    'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address',
  ],
  [
    "policy/v1 PodDisruptionBudget poddisruptionbudgets: both bounds",
    { spec: { minAvailable: 1, maxUnavailable: "120%", selector } },
    'spec.maxUnavailable: Invalid value: "120%": must not be greater than 100%',
  ],
  [
    "v1 Endpoints endpoints: a loopback address",
    { subsets: [{ addresses: [{ ip: "127.0.0.1" }], ports: [port] }] },
    'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
  ],
];

describe("U01 validation with upstream's words (part: what manifests run into)", () => {
  it.each(services)("Service: %s", (_what, body, text) => refused(local.api, "v1", "Service", "services", body, text));
  it.each([...workloads, ...others])("%s", (what, body, text) => {
    const [apiVersion = "", kind = "", plural = ""] = what.split(/[ :]+/);
    return refused(local.api, apiVersion, kind, plural, body, text);
  });
});
