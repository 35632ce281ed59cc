import { container, dnsLabel, type Sample, selector, template } from "./sample.ts";

type Rows = NonNullable<Sample["invalid"]>;

const withoutImage = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "main" }] } };
const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "r" };
const job = { spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } } };

/** What else is invalid, by version and kind, and what the answer must say (upstream's wording). */
export const moreInvalid: Readonly<Record<string, Rows>> = {
  "v1 PodTemplate": [
    [{ template: withoutImage }, "template.spec.containers[0].image: Required value"],
    [{ template: { spec: { containers: [] } } }, "template.spec.containers: Required value"],
  ],
  "v1 ReplicationController": [
    [{ spec: { template: withoutImage } }, "spec.template.spec.containers[0].image: Required value"],
    [
      { spec: { template, selector: { app: "y" } } },
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
    [{ spec: { template, replicas: -1 } }, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
  ],
  "v1 Endpoints": [
    [
      { subsets: [{ ports: [{ port: 80 }] }] },
      "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
    ],
    [
      { subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }, { port: 81 }] }] },
      "[subsets[0].ports[0].name: Required value, subsets[0].ports[1].name: Required value]",
    ],
    [
      { subsets: [{ addresses: [{ ip: "a" }] }] },
      'subsets[0].addresses[0].ip: Invalid value: "a": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ],
  "v1 LimitRange": [
    [
      { spec: { limits: [{ type: "Container", max: { cpu: "1" }, default: { cpu: "2" } }] } },
      'spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1',
    ],
    [
      { spec: { limits: [{ type: "Pod", default: { cpu: "2" } }] } },
      "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
    ],
    [
      { spec: { limits: [{ type: "Container" }, { type: "Container" }] } },
      'spec.limits[1].type: Duplicate value: "Container"',
    ],
  ],
  "v1 Node": [
    [
      { spec: { taints: [{ key: "a", effect: "Never" }] } },
      'metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"',
    ],
    [
      {
        spec: {
          taints: [
            { key: "a", effect: "NoSchedule" },
            { key: "a", value: "b", effect: "NoSchedule" },
          ],
        },
      },
      "taints must be unique by key and effect pair",
    ],
  ],
  "v1 PersistentVolume": [
    [{ spec: { accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } } }, "spec.capacity: Required value"],
    [
      { spec: { accessModes: ["Sometimes"], capacity: { storage: "1Gi" }, hostPath: { path: "/x" } } },
      'spec.accessModes: Unsupported value: "Sometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
    ],
    [
      { spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" } } },
      "spec: Required value: must specify a volume type",
    ],
    [
      { spec: { accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" }, local: { path: "/x" } } },
      "spec.nodeAffinity: Required value: Local volume requires node affinity",
    ],
  ],
  "v1 ResourceQuota": [
    [{ spec: { hard: { pods: "1500m" } } }, 'spec.hard[pods]: Invalid value: "1500m": must be an integer'],
    [
      { spec: { hard: { pods: "1" }, scopes: ["Terminating", "NotTerminating"] } },
      'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes',
    ],
    [
      { spec: { hard: { cpu: "2" }, scopes: ["BestEffort"] } },
      'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    ],
    [
      {
        spec: {
          hard: { services: "2" },
          scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "Exists" }] },
        },
      },
      'spec.scopeSelector.matchExpressions: Invalid value: {"MatchExpressions":[{"ScopeName":"PriorityClass","Operator":"Exists","Values":null}]}: unsupported scope applied to resource',
    ],
    [
      {
        spec: {
          hard: { pods: "2" },
          scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In" }] },
        },
      },
      "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
    ],
  ],
  "networking.k8s.io/v1 IngressClass": [
    [{ spec: {} }, "spec.controller: Required value"],
    [
      { spec: { controller: "plain" } },
      'spec.controller: Invalid value: "plain": must be a domain-prefixed path (such as "acme.io/foo")',
    ],
    [
      { spec: { controller: "a.io/b", parameters: { kind: "K", name: "n", scope: "Namespace" } } },
      "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    ],
  ],
  "rbac.authorization.k8s.io/v1 ClusterRoleBinding": [
    [
      { roleRef: { ...roleRef, kind: "Role" } },
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ],
    [
      { roleRef, subjects: [{ kind: "Robot", name: "x" }] },
      'subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
    ],
    [{ roleRef, subjects: [{ kind: "ServiceAccount", name: "x" }] }, "subjects[0].namespace: Required value"],
  ],
  "storage.k8s.io/v1 StorageClass": [
    [{ provisioner: "" }, "provisioner: Required value"],
    [
      { provisioner: "a.io/b", reclaimPolicy: "Burn" },
      'reclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Retain"',
    ],
  ],
  "scheduling.k8s.io/v1 PriorityClass": [
    [{ value: 1_000_000_001 }, "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    [
      { value: 1, preemptionPolicy: "Sometimes" },
      'preemptionPolicy: Unsupported value: "Sometimes": supported values: "Never", "PreemptLowerPriority"',
    ],
  ],
  "discovery.k8s.io/v1 EndpointSlice": [
    [{ endpoints: [], ports: [] }, "addressType: Required value"],
    [
      { addressType: "IPv4", endpoints: [{ addresses: [] }], ports: [] },
      "endpoints[0].addresses: Required value: must contain at least 1 address",
    ],
    [
      {
        addressType: "IPv4",
        endpoints: [],
        ports: [
          { name: "a", port: 1 },
          { name: "a", port: 2 },
        ],
      },
      'ports[1].name: Duplicate value: "a"',
    ],
  ],
  "apps/v1 ControllerRevision": [
    [{ revision: 1 }, "data: Required value: data is mandatory"],
    [{ revision: -1, data: {} }, "revision: Invalid value: -1: must be greater than or equal to 0"],
  ],
  "apps/v1 DaemonSet": [
    [
      { spec: { selector, template, updateStrategy: { type: "Odd" } } },
      'spec.updateStrategy.type: Unsupported value: "Odd": supported values: "OnDelete", "RollingUpdate"',
    ],
    [{ spec: { selector, template: withoutImage } }, "spec.template.spec.containers[0].image: Required value"],
    [{ spec: { selector: {}, template } }, "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
  ],
  "apps/v1 ReplicaSet": [
    [{ spec: { template } }, "spec.selector: Required value"],
    [
      { spec: { selector, template: { ...template, metadata: { labels: { app: "y" } } } } },
      'spec.template.metadata.labels: Invalid value: {"app":"y"}: `selector` does not match template `labels`',
    ],
    [{ spec: { selector, template, replicas: -1 } }, "spec.replicas: Invalid value: -1"],
  ],
  "apps/v1 StatefulSet": [
    [
      { spec: { selector, template, podManagementPolicy: "Odd" } },
      `spec.podManagementPolicy: Invalid value: "Odd": must be 'OrderedReady' or 'Parallel'`,
    ],
    [
      { spec: { selector, template, persistentVolumeClaimRetentionPolicy: { whenScaled: "Burn" } } },
      'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Burn": supported values: "Delete", "Retain"',
    ],
  ],
  "batch/v1 CronJob": [
    [{ spec: { jobTemplate: job } }, "spec.schedule: Required value"],
    [
      { spec: { schedule: "* * * * *", concurrencyPolicy: "Odd", jobTemplate: job } },
      'spec.concurrencyPolicy: Unsupported value: "Odd": supported values: "Allow", "Forbid", "Replace"',
    ],
    [
      { spec: { schedule: "TZ=UTC * * * * *", jobTemplate: job } },
      "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    ],
  ],
  "v1 Service": [
    [{ spec: { ports: [{ port: 80, name: "A_" }] } }, `spec.ports[0].name: Invalid value: "A_": ${dnsLabel}`],
  ],
};
