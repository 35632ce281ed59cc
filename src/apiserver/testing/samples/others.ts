import { age, type Sample, selector } from "./sample.ts";

/** Samples of this part of the API. */
export const others: readonly Sample[] = [
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
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    plural: "ingressclasses",
    namespaced: false,
    body: {
      spec: {
        controller: "k8s.io/ingress-nginx",
        parameters: { apiGroup: "k8s.example.com", kind: "Parameters", name: "external" },
      },
    },
    immutable: [{ spec: { controller: "a.io/b" } }, 'spec.controller: Invalid value: "a.io/b": field is immutable'],
    columns: "Name Controller Parameters Age",
    cells: ["k8s.io/ingress-nginx", "Parameters.k8s.example.com/external", age],
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
      [{ spec: {} }, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
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
    columns: "Name ParentRef",
    cells: ["services/test/x"],
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
        "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
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
    invalid: [
      [
        { spec: { minAvailable: 1, maxUnavailable: 1 } },
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
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
