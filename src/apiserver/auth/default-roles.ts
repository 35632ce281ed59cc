import type { PolicyRule } from "./rbac.ts";

/** A ClusterRole that every cluster starts with, and whom it is bound to. */
export interface DefaultRole {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** Subjects of the ClusterRoleBinding of the same name: `group:x`, `user:x`, `sa:namespace/name`. */
  readonly boundTo: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

const read = ["get", "list", "watch"];
const write = ["create", "delete", "deletecollection", "patch", "update"];
const all = [...read, ...write];

const rule = (groups: string, resources: string, verbs: readonly string[]): PolicyRule => ({
  apiGroups: groups.split(",").map((g) => (g === "core" ? "" : g)),
  resources: resources.split(" "),
  verbs,
});

const paths = (urls: string): PolicyRule => ({ nonResourceURLs: urls.split(" "), verbs: ["get"] });

const viewRules: readonly PolicyRule[] = [
  rule(
    "core",
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
    read,
  ),
  rule(
    "core",
    "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status namespaces",
    read,
  ),
  rule("discovery.k8s.io", "endpointslices", read),
  rule(
    "apps",
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    read,
  ),
  rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", read),
  rule("batch", "cronjobs cronjobs/status jobs jobs/status", read),
  rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", read),
  rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", read),
];

const editRules: readonly PolicyRule[] = [
  ...viewRules,
  rule("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", read),
  rule("core", "serviceaccounts", ["impersonate"]),
  rule(
    "core",
    "pods pods/attach pods/exec pods/portforward pods/proxy pods/eviction configmaps endpoints persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy events",
    write,
  ),
  rule("core", "serviceaccounts/token", ["create"]),
  rule(
    "apps",
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
    write,
  ),
  rule("batch", "cronjobs jobs", write),
  rule("policy", "poddisruptionbudgets", write),
  rule("networking.k8s.io", "ingresses networkpolicies", write),
  rule("coordination.k8s.io", "leases", all),
];

const nodeRules: readonly PolicyRule[] = [
  rule("authentication.k8s.io", "tokenreviews", ["create"]),
  rule("authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews", ["create"]),
  rule("core", "services", read),
  rule("core", "nodes", ["create", ...read]),
  rule("core", "nodes/status", ["patch", "update"]),
  rule("core", "nodes", ["patch", "update"]),
  rule("core,events.k8s.io", "events", ["create", "patch", "update"]),
  rule("core", "pods", ["create", "delete", ...read]),
  rule("core", "pods/status", ["patch", "update"]),
  rule("core", "pods/eviction", ["create"]),
  rule("core", "configmaps secrets", read),
  rule("core", "serviceaccounts/token", ["create"]),
  rule("core", "serviceaccounts", ["get"]),
  rule("core", "persistentvolumeclaims persistentvolumes", ["get"]),
  rule("core", "endpoints", ["get"]),
  rule("core", "namespaces", read),
  rule("coordination.k8s.io", "leases", ["create", "delete", "get", "patch", "update"]),
  // The agent holds the service proxy, the pod network and policy as well, which upstream run under accounts of their own.
  rule("discovery.k8s.io", "endpointslices", read),
  rule("networking.k8s.io", "networkpolicies servicecidrs", read),
];

const bootstrapLabels = { "kubernetes.io/bootstrapping": "rbac-defaults" };

/** Thin forms of upstream's default roles (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). */
export const defaultRoles: readonly DefaultRole[] = [
  {
    name: "cluster-admin",
    boundTo: ["group:system:masters"],
    rules: [rule("*", "*", ["*"]), { nonResourceURLs: ["*"], verbs: ["*"] }],
  },
  {
    name: "admin",
    boundTo: [],
    rules: [
      ...editRules,
      rule("authorization.k8s.io", "localsubjectaccessreviews", ["create"]),
      rule("rbac.authorization.k8s.io", "rolebindings roles", all),
    ],
  },
  { name: "edit", boundTo: [], rules: editRules },
  { name: "view", boundTo: [], rules: viewRules },
  {
    name: "system:discovery",
    boundTo: ["group:system:authenticated"],
    rules: [paths("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")],
  },
  {
    name: "system:public-info-viewer",
    boundTo: ["group:system:authenticated", "group:system:unauthenticated"],
    rules: [paths("/healthz /livez /readyz /version /version/")],
  },
  {
    name: "system:service-account-issuer-discovery",
    boundTo: ["group:system:serviceaccounts"],
    rules: [
      paths("/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/"),
    ],
  },
  {
    name: "system:basic-user",
    boundTo: ["group:system:authenticated"],
    rules: [
      rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", ["create"]),
      rule("authentication.k8s.io", "selfsubjectreviews", ["create"]),
    ],
  },
  { name: "system:node", boundTo: ["group:system:nodes"], rules: nodeRules },
  {
    name: "system:node-proxier",
    boundTo: ["user:system:kube-proxy"],
    rules: [
      rule("core", "services endpoints", ["list", "watch"]),
      rule("core", "nodes", read),
      rule("core,events.k8s.io", "events", ["create", "patch", "update"]),
      rule("discovery.k8s.io", "endpointslices", ["list", "watch"]),
      rule("networking.k8s.io", "servicecidrs", ["list", "watch"]),
    ],
  },
  {
    name: "system:kube-scheduler",
    boundTo: ["user:system:kube-scheduler"],
    rules: [
      rule("*", "*", read),
      rule("core", "pods/binding bindings", ["create"]),
      rule("core", "pods", ["delete"]),
      rule("core", "pods/status", ["patch", "update"]),
      rule("core,events.k8s.io", "events", ["create", "patch", "update"]),
      rule("coordination.k8s.io", "leases", all),
    ],
  },
  {
    name: "system:kube-controller-manager",
    boundTo: ["user:system:kube-controller-manager"],
    rules: [rule("*", "*", ["*"])],
  },
  {
    name: "system:kubelet-api-admin",
    boundTo: ["user:kube-apiserver-kubelet-client"],
    rules: [
      rule("core", "nodes", ["get", "list", "watch", "proxy"]),
      rule("core", "nodes/log nodes/metrics nodes/proxy nodes/stats", ["*"]),
    ],
  },
  {
    name: "system:coredns",
    boundTo: ["sa:kube-system/coredns"],
    rules: [
      rule("core", "endpoints services pods namespaces", ["list", "watch"]),
      rule("core", "nodes", ["get"]),
      rule("discovery.k8s.io", "endpointslices", ["list", "watch"]),
    ],
  },
].map((role) => ({ ...role, labels: bootstrapLabels }));
