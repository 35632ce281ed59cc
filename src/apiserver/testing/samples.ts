import type { Dict } from "../object.ts";

/** One kind's row in the table that every kind is run through. */
export interface Sample {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly name?: string;
  /** A valid object without metadata. */
  readonly body: Dict;
  /** What the server adds to it. */
  readonly defaulted?: Dict;
  /** Changes that make it invalid, and what the answer must say (upstream's wording). */
  readonly invalid?: readonly (readonly [Dict, string])[];
  /** A change that is refused once the object exists. */
  readonly immutable?: readonly [Dict, string];
  /** Column names of the Table. */
  readonly columns: string;
  /** The new object's cells, without the name in front. Absent: not compared. */
  readonly cells?: readonly unknown[];
}

const container = { name: "main", image: "podwire/echo:1" };
const template = { metadata: { labels: { app: "x" } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: "x" } };
const age = "0s";
const dnsLabel = "a lowercase RFC 1123 label must consist of";

/** The samples, by group as in discovery. */
export const samples: readonly Sample[] = [
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    namespaced: true,
    body: { data: { a: "b" }, binaryData: { c: "ZA==" } },
    invalid: [
      [
        { data: { "a/b": "" } },
        'data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters',
      ],
    ],
    columns: "Name Data Age",
    cells: [2, age],
  },
  {
    apiVersion: "v1",
    kind: "Endpoints",
    plural: "endpoints",
    namespaced: true,
    body: { subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }] },
    defaulted: { subsets: [{ ports: [{ protocol: "TCP" }] }] },
    columns: "Name Endpoints Age",
    cells: ["10.0.0.1:80", age],
  },
  {
    apiVersion: "v1",
    kind: "Event",
    plural: "events",
    namespaced: true,
    body: {
      involvedObject: { kind: "Pod", name: "p", namespace: "test" },
      reason: "Started",
      message: "m",
      type: "Normal",
      firstTimestamp: null,
      count: 1,
    },
    invalid: [
      [
        { involvedObject: { kind: "Pod", name: "p", namespace: "other" } },
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
      ],
    ],
    columns: "Last Seen|Type|Reason|Object|Subobject|Source|Message|First Seen|Count|Name",
  },
  {
    apiVersion: "v1",
    kind: "LimitRange",
    plural: "limitranges",
    namespaced: true,
    body: { spec: { limits: [{ type: "Container", max: { cpu: "1" } }] } },
    columns: "Name|Created At",
  },
  {
    apiVersion: "v1",
    kind: "Namespace",
    plural: "namespaces",
    namespaced: false,
    body: {},
    defaulted: { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } },
    columns: "Name Status Age",
    cells: ["Active", age],
  },
  {
    apiVersion: "v1",
    kind: "Node",
    plural: "nodes",
    namespaced: false,
    body: { spec: { podCIDR: "10.244.9.0/24", podCIDRs: ["10.244.9.0/24"] } },
    immutable: [
      { spec: { podCIDRs: ["10.244.8.0/24"] } },
      'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
    ],
    columns: "Name Status Roles Age Version Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
    cells: ["Unknown", "<none>", age, "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
  },
  {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    plural: "persistentvolumeclaims",
    namespaced: true,
    body: { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
    defaulted: { spec: { volumeMode: "Filesystem" }, status: { phase: "Pending" } },
    invalid: [
      [
        { spec: { resources: { requests: { storage: "1Gi" } } } },
        "spec.accessModes: Required value: at least 1 access mode is required",
      ],
    ],
    immutable: [
      { spec: { accessModes: ["ReadOnlyMany"] } },
      "spec: Forbidden: spec is immutable after creation except resources.requests",
    ],
    columns: "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode",
    cells: ["Pending", "", "", "", "", "<unset>", age, "Filesystem"],
  },
  {
    apiVersion: "v1",
    kind: "PersistentVolume",
    plural: "persistentvolumes",
    namespaced: false,
    body: { spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/x" } } },
    defaulted: { spec: { persistentVolumeReclaimPolicy: "Retain", volumeMode: "Filesystem" } },
    columns:
      "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode",
    cells: ["1Gi", "RWO", "Retain", "Pending", "", "", "<unset>", "", age, "Filesystem"],
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    plural: "pods",
    namespaced: true,
    body: {
      spec: {
        containers: [{ ...container, ports: [{ containerPort: 80 }], livenessProbe: { httpGet: { port: 80 } } }],
      },
    },
    defaulted: {
      spec: {
        restartPolicy: "Always",
        dnsPolicy: "ClusterFirst",
        terminationGracePeriodSeconds: 30,
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
        serviceAccountName: "default",
        priority: 0,
        containers: [
          {
            imagePullPolicy: "IfNotPresent",
            terminationMessagePath: "/dev/termination-log",
            ports: [{ protocol: "TCP" }],
            livenessProbe: {
              httpGet: { path: "/", scheme: "HTTP" },
              periodSeconds: 10,
              timeoutSeconds: 1,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      },
      status: { phase: "Pending", qosClass: "BestEffort" },
    },
    invalid: [
      [{ spec: { containers: [] } }, "spec.containers: Required value"],
      [
        { spec: { containers: [{ name: "A_", image: "x" }] } },
        `spec.containers[0].name: Invalid value: "A_": ${dnsLabel}`,
      ],
      [{ spec: { containers: [{ name: "a" }] } }, "spec.containers[0].image: Required value"],
      [
        { spec: { containers: [{ ...container, volumeMounts: [{ name: "v", mountPath: "/v" }] }] } },
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
      ],
      [
        { spec: { restartPolicy: "Sometimes", containers: [container] } },
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      ],
      [{ spec: { containers: [container, container] } }, 'spec.containers[1].name: Duplicate value: "main"'],
      [
        { spec: { containers: [{ ...container, ports: [{ containerPort: 70000 }] }] } },
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
      ],
      [
        { spec: { containers: [{ ...container, resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }] } },
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ],
    ],
    immutable: [
      { spec: { hostname: "other" } },
      "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
    ],
    columns: "Name|Ready|Status|Restarts|Age|IP|Node|Nominated Node|Readiness Gates",
    cells: ["0/1", "Pending", "0", age, "<none>", "<none>", "<none>", "<none>"],
  },
  {
    apiVersion: "v1",
    kind: "PodTemplate",
    plural: "podtemplates",
    namespaced: true,
    body: { template },
    columns: "Name|Containers|Images|Pod Labels|Age",
    cells: ["main", "podwire/echo:1", "app=x", age],
  },
  {
    apiVersion: "v1",
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    namespaced: true,
    body: { spec: { template } },
    defaulted: { spec: { replicas: 1, selector: { app: "x" } } },
    columns: "Name Desired Current Ready Age Containers Images Selector",
    cells: [1, 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "v1",
    kind: "ResourceQuota",
    plural: "resourcequotas",
    namespaced: true,
    body: { spec: { hard: { pods: "3", "limits.cpu": "1" } } },
    columns: "Name Request Limit Age",
    cells: ["pods: 0/3", "limits.cpu: 0/1", age],
  },
  {
    apiVersion: "v1",
    kind: "Secret",
    plural: "secrets",
    namespaced: true,
    body: { stringData: { a: "b" } },
    defaulted: { type: "Opaque", data: { a: "Yg==" } },
    invalid: [[{ type: "kubernetes.io/tls" }, "data[tls.crt]: Required value"]],
    immutable: [{ type: "other" }, 'type: Invalid value: "other": field is immutable'],
    columns: "Name Type Data Age",
    cells: ["Opaque", 1, age],
  },
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    namespaced: true,
    body: {},
    columns: "Name Secrets Age",
    cells: [0, age],
  },
  {
    apiVersion: "v1",
    kind: "Service",
    plural: "services",
    namespaced: true,
    body: { spec: { selector: { app: "x" }, clusterIP: "10.96.0.77", ports: [{ port: 80 }] } },
    defaulted: {
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        internalTrafficPolicy: "Cluster",
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        clusterIPs: ["10.96.0.77"],
        ports: [{ protocol: "TCP", targetPort: 80 }],
      },
      status: { loadBalancer: {} },
    },
    invalid: [
      [{ spec: { ports: [] } }, "spec.ports: Required value"],
      [
        { spec: { ports: [{ port: 0 }] } },
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
      ],
      [
        { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 80 }] } },
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
      ],
      [
        { spec: { ports: [{ port: 80, nodePort: 30080 }] } },
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
      ],
      [
        { spec: { clusterIP: "10.0.0.1", ports: [{ port: 80 }] } },
        "failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12",
      ],
      [
        { spec: { clusterIP: "10.96.0.1", ports: [{ port: 80 }] } },
        "failed to allocate IP 10.96.0.1: provided IP is already allocated",
      ],
      [{ spec: { ports: [{ port: 80 }, { port: 81 }] } }, "spec.ports[0].name: Required value"],
      [
        { spec: { type: "Bogus", ports: [{ port: 80 }] } },
        'spec.type: Unsupported value: "Bogus": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    immutable: [
      { spec: { clusterIP: "10.96.0.78", clusterIPs: ["10.96.0.78"] } },
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.78"]: may not change once set',
    ],
    columns: "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector",
    cells: ["ClusterIP", "10.96.0.77", "<none>", "80/TCP", age, "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    namespaced: true,
    body: { revision: 3, data: { a: 1 } },
    columns: "Name Controller Revision Age",
    cells: ["<none>", 3, age],
  },
  {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    plural: "daemonsets",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: {
      spec: {
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        revisionHistoryLimit: 10,
      },
    },
    immutable: [
      { spec: { selector: { matchLabels: { app: "x", b: "c" } }, template: { metadata: { labels: { b: "c" } } } } },
      "spec.selector: Invalid value: ",
    ],
    columns: "Name|Desired|Current|Ready|Up-to-date|Available|Node Selector|Age|Containers|Images|Selector",
    cells: [0, 0, 0, 0, 0, "<none>", age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: {
      spec: {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
        template: { spec: { restartPolicy: "Always" } },
      },
    },
    invalid: [
      [{ spec: { template } }, "spec.selector: Required value"],
      [
        { spec: { selector: { matchLabels: { app: "y" } }, template } },
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
      ],
      [
        { spec: { selector, template: { ...template, spec: { containers: [container], restartPolicy: "Never" } } } },
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      ],
      [
        { spec: { selector, template, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } } },
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
      ],
      [
        { spec: { selector, template, replicas: -1 } },
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    immutable: [
      { spec: { selector: { matchLabels: { app: "x", b: "c" } }, template: { metadata: { labels: { b: "c" } } } } },
      "field is immutable",
    ],
    columns: "Name Ready Up-to-date Available Age Containers Images Selector",
    cells: ["0/1", 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: { spec: { replicas: 1 }, status: { replicas: 0 } },
    columns: "Name Desired Current Ready Age Containers Images Selector",
    cells: [1, 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    plural: "statefulsets",
    namespaced: true,
    body: { spec: { serviceName: "s", selector, template } },
    defaulted: {
      spec: {
        replicas: 1,
        podManagementPolicy: "OrderedReady",
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      },
    },
    immutable: [
      { spec: { serviceName: "other" } },
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'",
    ],
    columns: "Name Ready Age Containers Images",
    cells: ["0/1", age, "main", "podwire/echo:1"],
  },
  {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    plural: "events",
    namespaced: true,
    body: {
      regarding: { kind: "Pod", name: "p", namespace: "test" },
      reason: "Started",
      note: "m",
      type: "Normal",
      reportingController: "c",
      reportingInstance: "i",
      action: "a",
    },
    columns: "Last Seen|Type|Reason|Object|Subobject|Source|Message|First Seen|Count|Name",
  },
  {
    apiVersion: "batch/v1",
    kind: "CronJob",
    plural: "cronjobs",
    namespaced: true,
    body: {
      spec: {
        schedule: "* * * * *",
        jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } } },
      },
    },
    defaulted: {
      spec: { concurrencyPolicy: "Allow", suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
    },
    columns: "Name|Schedule|Timezone|Suspend|Active|Last Schedule|Age|Containers|Images|Selector",
    cells: ["* * * * *", "<none>", "False", 0, "<none>", age, "main", "podwire/echo:1", "<none>"],
  },
  {
    apiVersion: "batch/v1",
    kind: "Job",
    plural: "jobs",
    namespaced: true,
    body: { spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } } },
    defaulted: {
      spec: { completions: 1, parallelism: 1, backoffLimit: 6, completionMode: "NonIndexed", suspend: false },
    },
    invalid: [
      [
        { spec: { template: { spec: { containers: [container] } } } },
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
      ],
    ],
    immutable: [{ spec: { completions: 5 } }, "spec.completions: Invalid value: 5: field is immutable"],
    columns: "Name Status Completions Duration Age Containers Images Selector",
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    plural: "ingressclasses",
    namespaced: false,
    body: { spec: { controller: "k8s.io/ingress-nginx" } },
    immutable: [{ spec: { controller: "a.io/b" } }, 'spec.controller: Invalid value: "a.io/b": field is immutable'],
    columns: "Name Controller Parameters Age",
    cells: ["k8s.io/ingress-nginx", "<none>", age],
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    plural: "ingresses",
    namespaced: true,
    body: {
      spec: {
        rules: [
          {
            host: "a.example.com",
            http: {
              paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "s", port: { number: 80 } } } }],
            },
          },
        ],
      },
    },
    defaulted: { status: { loadBalancer: {} } },
    invalid: [
      [{ spec: {} }, "either `defaultBackend` or `rules` must be specified"],
      [
        {
          spec: {
            rules: [{ http: { paths: [{ path: "/", backend: { service: { name: "s", port: { number: 80 } } } }] } }],
          },
        },
        "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
      ],
      [
        {
          spec: {
            rules: [
              {
                http: {
                  paths: [{ path: "x", pathType: "Prefix", backend: { service: { name: "s", port: { number: 80 } } } }],
                },
              },
            ],
          },
        },
        'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
      ],
      [
        { spec: { defaultBackend: { service: { name: "s" } } } },
        "spec.defaultBackend: Required value: port name or number is required",
      ],
    ],
    columns: "Name Class Hosts Address Ports Age",
    cells: ["<none>", "a.example.com", "", "80", age],
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    plural: "ipaddresses",
    namespaced: false,
    name: "10.96.0.200",
    body: { spec: { parentRef: { resource: "services", namespace: "test", name: "x" } } },
    immutable: [{ spec: { parentRef: { name: "y" } } }, "field is immutable"],
    columns: "Name ParentRef Age",
    cells: ["services/test/x", age],
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    namespaced: true,
    body: {
      spec: {
        podSelector: { matchLabels: { app: "x" } },
        ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }],
      },
    },
    defaulted: { spec: { policyTypes: ["Ingress"], ingress: [{ ports: [{ protocol: "TCP" }] }] } },
    invalid: [
      [
        { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80, endPort: 70 }] }] } },
        "spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`",
      ],
      [
        { spec: { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: "x" } }] }] } },
        'spec.egress[0].to[0].ipBlock.cidr: Invalid value: "x": must be a valid CIDR value',
      ],
    ],
    columns: "Name Pod-Selector Age",
    cells: ["app=x", age],
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    namespaced: false,
    body: { spec: { cidrs: ["10.200.0.0/16"] } },
    immutable: [{ spec: { cidrs: ["10.201.0.0/16"] } }, "field is immutable"],
    columns: "Name CIDRs Age",
    cells: ["10.200.0.0/16", age],
  },
  {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    namespaced: true,
    body: { spec: { minAvailable: 1, selector } },
    invalid: [[{ spec: { minAvailable: 1, maxUnavailable: 1 } }, "minAvailable and maxUnavailable cannot be both set"]],
    columns: "Name|Min Available|Max Unavailable|Allowed Disruptions|Age",
    cells: ["1", "N/A", 0, age],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    namespaced: false,
    body: {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "User", name: "u" }],
    },
    defaulted: { subjects: [{ apiGroup: "rbac.authorization.k8s.io" }] },
    immutable: [{ roleRef: { name: "edit" } }, "cannot change roleRef"],
    columns: "Name Role Age Users Groups ServiceAccounts",
    cells: ["ClusterRole/view", age, "u", "", ""],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    plural: "clusterroles",
    namespaced: false,
    body: { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
    invalid: [
      [
        { rules: [{ apiGroups: [""], resources: ["pods"] }] },
        "rules[0].verbs: Required value: verbs must contain at least one value",
      ],
    ],
    columns: "Name|Created At",
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    plural: "rolebindings",
    namespaced: true,
    body: {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects: [{ kind: "ServiceAccount", name: "s", namespace: "test" }],
    },
    invalid: [
      [
        {
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
          subjects: [{ kind: "ServiceAccount", name: "s" }],
        },
        "subjects[0].namespace: Required value",
      ],
    ],
    immutable: [{ roleRef: { name: "q" } }, "cannot change roleRef"],
    columns: "Name Role Age Users Groups ServiceAccounts",
    cells: ["Role/r", age, "", "", "test/s"],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    plural: "roles",
    namespaced: true,
    body: { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
    invalid: [
      [{ rules: [{ nonResourceURLs: ["/x"], verbs: ["get"] }] }, "namespaced rules cannot apply to non-resource URLs"],
    ],
    columns: "Name|Created At",
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    plural: "storageclasses",
    namespaced: false,
    body: { provisioner: "a.io/b" },
    defaulted: { reclaimPolicy: "Delete", volumeBindingMode: "Immediate" },
    immutable: [{ provisioner: "c" }, "provisioner: Forbidden: updates to provisioner are forbidden."],
    columns: "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age",
    cells: ["a.io/b", "Delete", "Immediate", false, age],
  },
  {
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    plural: "priorityclasses",
    namespaced: false,
    body: { value: 5 },
    defaulted: { preemptionPolicy: "PreemptLowerPriority" },
    immutable: [{ value: 6 }, "value: Forbidden: may not be changed in an update."],
    columns: "Name Value Global-Default Age PreemptionPolicy",
    cells: [5, "false", age, "PreemptLowerPriority"],
  },
  {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    plural: "leases",
    namespaced: true,
    body: { spec: { holderIdentity: "h", leaseDurationSeconds: 40, renewTime: "2026-01-01T00:00:00.123456Z" } },
    invalid: [
      [{ spec: { leaseDurationSeconds: 0 } }, "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
    ],
    columns: "Name Holder Age",
    cells: ["h", age],
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    plural: "endpointslices",
    namespaced: true,
    body: { addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] },
    defaulted: { ports: [{ name: "", protocol: "TCP" }] },
    immutable: [{ addressType: "FQDN" }, 'addressType: Invalid value: "FQDN": field is immutable'],
    columns: "Name AddressType Ports Endpoints Age",
    cells: ["IPv4", "80", "10.0.0.1", age],
  },
];
