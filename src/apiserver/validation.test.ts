import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import type { Dict } from "./object.ts";
import { ask } from "./testing/client.ts";
import { startTestServer, type TestServer } from "./testing/server.ts";

let test: TestServer;
let api: Transport;

beforeAll(async () => {
  test = await startTestServer();
  api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  await ask(api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => test.stop());

const c = { name: "c", image: "podwire/echo:1" };
const inContainer = (change: Dict, pod: Dict = {}) => ({ spec: { containers: [{ ...c, ...change }], ...pod } });
const inPod = (change: Dict) => ({ spec: { containers: [c], ...change } });
const label63 =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const template = (spec: Dict = {}, labels: Dict = { app: "x" }) => ({
  metadata: { labels },
  spec: { containers: [c], ...spec },
});
const selector = { matchLabels: { app: "x" } };

/** The causes of the answer in the order they are said in, after `Kind "name" is invalid: `. */
type Row = readonly [what: string, body: Dict, text: string];

/** Rules of k8s.io/kubernetes/pkg/apis/core/validation that `kubectl run` and manifests run into. */
const pods: readonly Row[] = [
  [
    "several things at once",
    inPod({ containers: [{ name: "C", image: "" }], restartPolicy: "Maybe" }),
    `[spec.containers[0].name: Invalid value: "C": ${label63}, spec.containers[0].image: Required value, spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"]`,
  ],
  [
    "no handler",
    inContainer({ livenessProbe: {} }),
    "spec.containers[0].livenessProbe: Required value: must specify a handler type",
  ],
  [
    "two handlers",
    inContainer({ readinessProbe: { exec: { command: ["a"] }, tcpSocket: { port: 1 } } }),
    "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
  ],
  [
    "a liveness probe's threshold",
    inContainer({ livenessProbe: { tcpSocket: { port: 80 }, successThreshold: 2 } }),
    "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
  ],
  [
    "a readiness probe's grace period",
    inContainer({ readinessProbe: { tcpSocket: { port: 80 }, terminationGracePeriodSeconds: 5 } }),
    "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
  ],
  [
    "a probe's port by name",
    inContainer({ livenessProbe: { httpGet: { port: "Web" } } }),
    'spec.containers[0].livenessProbe.httpGet.port: Invalid value: "Web": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
  ],
  [
    "a negative period",
    inContainer({ startupProbe: { tcpSocket: { port: 80 }, periodSeconds: -1 } }),
    "spec.containers[0].startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
  ],
  [
    "a sleep longer than the grace period",
    inContainer({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
    "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
  ],
  [
    "an init container with a probe",
    inPod({ initContainers: [{ ...c, name: "i", livenessProbe: { tcpSocket: { port: 80 } } }] }),
    "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
  ],
  [
    "an init container with a taken name",
    inPod({ initContainers: [c] }),
    'spec.initContainers[0].name: Duplicate value: "c"',
  ],
  [
    "a host port twice",
    inPod({
      containers: [
        { ...c, ports: [{ containerPort: 80, hostPort: 80 }] },
        { ...c, name: "d", ports: [{ containerPort: 81, hostPort: 80 }] },
      ],
    }),
    'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"',
  ],
  [
    "a host port beside the host's network",
    inContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }),
    "spec.containers[0].ports[0].containerPort: Invalid value: 80: must match `hostPort` when `hostNetwork` is true",
  ],
  [
    "env with value and source",
    inContainer({ env: [{ name: "A", value: "b", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
    'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
  ],
  [
    "env from a field that there is not",
    inContainer({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.foo" } } }] }),
    'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo',
  ],
  [
    "env from a field that is no environment variable",
    inContainer({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "status.phase" } } }] }),
    'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
  ],
  [
    "envFrom nothing",
    inContainer({ envFrom: [{}] }),
    'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
  ],
  [
    "an unknown resource",
    inContainer({ resources: { limits: { gpu: "1" } } }),
    '[spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified, spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
  ],
  [
    "an extended resource without a limit",
    inContainer({ resources: { requests: { "example.com/gpu": "1" } } }),
    "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
  ],
  [
    "user ids out of range",
    inContainer({ securityContext: { runAsUser: -1 } }),
    "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
  ],
  [
    "a seccomp profile without its file",
    inPod({ securityContext: { seccompProfile: { type: "Localhost" } } }),
    "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
  ],
  [
    "a volume twice",
    inPod({
      volumes: [
        { name: "v", emptyDir: {} },
        { name: "v", emptyDir: {} },
      ],
    }),
    'spec.volumes[1].name: Duplicate value: "v"',
  ],
  [
    "a volume of two types",
    inPod({ volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/x" } }] }),
    "may not specify more than 1 volume type",
  ],
  [
    "a path out of the volume",
    inContainer({ volumeMounts: [{ name: "v", mountPath: "/a", subPath: "../b" }] }, { volumes: [{ name: "v" }] }),
    `spec.containers[0].volumeMounts.subPath: Invalid value: "../b": must not contain '..'`,
  ],
  [
    "a file mode",
    inPod({ volumes: [{ name: "v", configMap: { name: "m", defaultMode: 1000 } }] }),
    "spec.volumes[0].configMap.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
  ],
  [
    "a short-lived token",
    inPod({
      volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 5 } }] } }],
    }),
    "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
  ],
  [
    "node affinity without terms",
    inPod({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } },
    }),
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
  ],
  [
    "pod anti-affinity without a topology key",
    inPod({
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: selector }] } },
    }),
    '[spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty, spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty',
  ],
  [
    "a weight",
    inPod({
      affinity: {
        nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, preference: {} }] },
      },
    }),
    "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
  ],
  [
    "a toleration's time",
    inPod({ tolerations: [{ key: "a", operator: "Exists", effect: "NoSchedule", tolerationSeconds: 3 }] }),
    `spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when \`tolerationSeconds\` is set`,
  ],
  [
    "topology spread",
    inPod({ topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "zone", whenUnsatisfiable: "Never" }] }),
    '[spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero, spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Never": supported values: "DoNotSchedule", "ScheduleAnyway"]',
  ],
  [
    "dnsPolicy None",
    inPod({ dnsPolicy: "None" }),
    "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
  ],
  [
    "too many name servers",
    inPod({ dnsConfig: { nameservers: ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"] } }),
    'spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers',
  ],
  [
    "host aliases",
    inPod({ hostAliases: [{ ip: "nope", hostnames: ["a"] }] }),
    'spec.hostAliases[0].ip: Invalid value: "nope": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ],
  [
    "ephemeral containers",
    inPod({ ephemeralContainers: [{ ...c, name: "e" }] }),
    "spec.ephemeralContainers: Forbidden: cannot be set on create",
  ],
  [
    "a deadline",
    inPod({ activeDeadlineSeconds: 0 }),
    "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
  ],
];

const port = { port: 80 };
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

function pathOf(apiVersion: string, plural: string): string {
  return `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}/namespaces/default/${plural}`;
}

async function refused(apiVersion: string, kind: string, plural: string, body: Dict, text: string): Promise<void> {
  const object = { apiVersion, kind, metadata: { name: "bad" }, ...body };
  const answer = await ask(api, "POST", pathOf(apiVersion, plural), object);
  expect(answer.body.message).toContain(text);
  expect([answer.status, answer.body.reason]).toEqual([422, "Invalid"]);
}

describe("U01 validation with upstream's words (part: what manifests run into)", () => {
  it.each(pods)("Pod: %s", (_what, body, text) => refused("v1", "Pod", "pods", body, text));
  it.each(services)("Service: %s", (_what, body, text) => refused("v1", "Service", "services", body, text));
  it.each([...workloads, ...others])("%s", (what, body, text) => {
    const [apiVersion = "", kind = "", plural = ""] = what.split(/[ :]+/);
    return refused(apiVersion, kind, plural, body, text);
  });
});

/** What an update may not change, by kind: a good object, a merge patch, the answer. */
const updates: readonly (readonly [string, Dict, Dict, string])[] = [
  [
    "v1 Pod pods",
    inPod({ activeDeadlineSeconds: 5 }),
    { spec: { activeDeadlineSeconds: 6 } },
    "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value",
  ],
  [
    "v1 Secret secrets",
    { immutable: true, stringData: { a: "b" } },
    { data: { a: "Yw==" } },
    "data: Forbidden: field is immutable when `immutable` is set",
  ],
  [
    "v1 ConfigMap configmaps",
    { immutable: true, data: { a: "b" } },
    { immutable: null },
    "immutable: Forbidden: field is immutable when `immutable` is set",
  ],
  [
    "v1 PersistentVolumeClaim persistentvolumeclaims",
    { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } } },
    { spec: { resources: { requests: { storage: "1Gi" } } } },
    "spec.resources.requests.storage: Forbidden: field can not be less than previous value",
  ],
  [
    "apps/v1 StatefulSet statefulsets",
    { spec: { serviceName: "s", selector, template: template() } },
    { spec: { podManagementPolicy: "Parallel" } },
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  ],
  [
    "batch/v1 Job jobs",
    { spec: { template: template({ restartPolicy: "Never" }) } },
    { spec: { template: { spec: { restartPolicy: "OnFailure" } } } },
    "spec.template: Invalid value: ",
  ],
];

describe("U01 immutable fields with upstream's words (part: what edits run into)", () => {
  it.each(updates)("%s", async (what, body, patch, text) => {
    const [apiVersion = "", kind = "", plural = ""] = what.split(" ");
    const path = pathOf(apiVersion, plural);
    const made = await ask(api, "POST", path, { apiVersion, kind, metadata: { name: "fixed" }, ...body });
    expect([made.status, made.status === 201 ? "" : made.body.message]).toEqual([201, ""]);
    const answer = await ask(api, "PATCH", `${path}/fixed`, patch, { "content-type": "application/merge-patch+json" });
    expect(answer.body.message).toContain(text);
    expect(answer.status).toBe(422);
  });

  it("a Service that becomes a ClusterIP gives back what only its old type had", async () => {
    const path = pathOf("v1", "services");
    await ask(api, "POST", path, { metadata: { name: "lb" }, spec: { type: "LoadBalancer", ports: [port] } });
    const patched = await ask(
      api,
      "PATCH",
      `${path}/lb`,
      { spec: { type: "ClusterIP" } },
      { "content-type": "application/merge-patch+json" },
    );
    expect([patched.status, patched.status === 200 ? "" : patched.body.message]).toEqual([200, ""]);
    const spec = patched.body.spec as Dict;
    expect([spec.externalTrafficPolicy, spec.allocateLoadBalancerNodePorts]).toEqual([undefined, undefined]);
    expect((spec.ports as { nodePort?: number }[])[0]?.nodePort).toBeUndefined();
  });
});

describe("U01 admission with upstream's words (part: what pods run into)", () => {
  const make = (change: Dict, name: string) =>
    ask(api, "POST", pathOf("v1", "pods"), { metadata: { name }, ...inPod(change) });

  it("a missing ServiceAccount, PriorityClass or RuntimeClass", async () => {
    const account = await make({ serviceAccountName: "nobody" }, "a");
    expect([account.status, account.body.message]).toEqual([
      403,
      'pods "a" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    ]);
    const priority = await make({ priorityClassName: "none" }, "a");
    expect(priority.body.message).toBe('pods "a" is forbidden: no PriorityClass with name none was found');
    const runtime = await make({ runtimeClassName: "none" }, "a");
    expect(runtime.body.message).toBe('pods "a" is forbidden: pod rejected: RuntimeClass "none" not found');
  });

  it("a RuntimeClass adds its overhead and where it runs", async () => {
    await ask(api, "POST", "/apis/node.k8s.io/v1/runtimeclasses", {
      metadata: { name: "heavy" },
      handler: "heavy",
      overhead: { podFixed: { cpu: "250m" } },
      scheduling: { nodeSelector: { heavy: "true" } },
    });
    const made = await make({ runtimeClassName: "heavy" }, "with-class");
    expect(made.body.spec).toMatchObject({ overhead: { cpu: "250m" }, nodeSelector: { heavy: "true" } });
  });

  it("a claim gets the default class", async () => {
    await ask(api, "POST", "/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: "a.io/b",
    });
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    const claim = await ask(api, "POST", pathOf("v1", "persistentvolumeclaims"), { metadata: { name: "c" }, spec });
    expect(claim.body.spec).toMatchObject({ storageClassName: "standard", volumeMode: "Filesystem" });
  });

  it("nothing new in a namespace that is going", async () => {
    await ask(api, "POST", "/api/v1/namespaces", { metadata: { name: "going" } });
    await ask(api, "DELETE", "/api/v1/namespaces/going");
    const made = await ask(api, "POST", "/api/v1/namespaces/going/configmaps", { metadata: { name: "m" } });
    expect([made.status, made.body.message]).toEqual([
      403,
      'configmaps "m" is forbidden: unable to create new content in namespace going because it is being terminated',
    ]);
  });
});
