import { afterAll, beforeAll, describe, it } from "vitest";
import type { LocalServer } from "./testing/local.ts";
import { c, inContainer, inPod, type Row, refused, selector, startForPods } from "./testing/refusals.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startForPods();
});
afterAll(() => local.server.stop());

const label63 =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

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

describe("U01 validation with upstream's words (part: pods of manifests)", () => {
  it.each(pods)("%s", (_what, body, text) => refused(local.api, "v1", "Pod", "pods", body, text));
});
