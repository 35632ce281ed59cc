import type {
  ClusterRole,
  ConfigMap,
  ControllerRevision,
  CronJob,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  Ingress,
  IngressClass,
  Job,
  KubeObject,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  ReplicationController,
  Role,
  RoleBinding,
  RuntimeClass,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
} from "./types.ts";

/** Where a kind lives in the API, and (as a type only) what its objects look like. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: it carries the object's type, so that `client.get(resources.pods, …)` is a Pod. */
  readonly objectType?: T;
}

/** Describes a resource; for kinds that are not in the table below. */
export function resource<T extends KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): Resource<T> {
  return { group, version, plural, kind, namespaced };
}

/** The resources that Podwire's components use. */
export const resources = {
  pods: resource<Pod>("", "v1", "pods", "Pod"),
  nodes: resource<Node>("", "v1", "nodes", "Node", false),
  services: resource<Service>("", "v1", "services", "Service"),
  endpoints: resource<Endpoints>("", "v1", "endpoints", "Endpoints"),
  endpointSlices: resource<EndpointSlice>("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
  configMaps: resource<ConfigMap>("", "v1", "configmaps", "ConfigMap"),
  secrets: resource<Secret>("", "v1", "secrets", "Secret"),
  namespaces: resource<Namespace>("", "v1", "namespaces", "Namespace", false),
  serviceAccounts: resource<ServiceAccount>("", "v1", "serviceaccounts", "ServiceAccount"),
  events: resource<Event>("", "v1", "events", "Event"),
  deployments: resource<Deployment>("apps", "v1", "deployments", "Deployment"),
  replicaSets: resource<ReplicaSet>("apps", "v1", "replicasets", "ReplicaSet"),
  daemonSets: resource<DaemonSet>("apps", "v1", "daemonsets", "DaemonSet"),
  statefulSets: resource<StatefulSet>("apps", "v1", "statefulsets", "StatefulSet"),
  controllerRevisions: resource<ControllerRevision>("apps", "v1", "controllerrevisions", "ControllerRevision"),
  replicationControllers: resource<ReplicationController>("", "v1", "replicationcontrollers", "ReplicationController"),
  persistentVolumeClaims: resource<PersistentVolumeClaim>("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
  podDisruptionBudgets: resource<PodDisruptionBudget>("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
  jobs: resource<Job>("batch", "v1", "jobs", "Job"),
  cronJobs: resource<CronJob>("batch", "v1", "cronjobs", "CronJob"),
  ingresses: resource<Ingress>("networking.k8s.io", "v1", "ingresses", "Ingress"),
  ingressClasses: resource<IngressClass>("networking.k8s.io", "v1", "ingressclasses", "IngressClass", false),
  networkPolicies: resource<NetworkPolicy>("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
  leases: resource<Lease>("coordination.k8s.io", "v1", "leases", "Lease"),
  runtimeClasses: resource<RuntimeClass>("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false),
  roles: resource<Role>("rbac.authorization.k8s.io", "v1", "roles", "Role"),
  roleBindings: resource<RoleBinding>("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
  clusterRoles: resource<ClusterRole>("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
  clusterRoleBindings: resource<RoleBinding>(
    "rbac.authorization.k8s.io",
    "v1",
    "clusterrolebindings",
    "ClusterRoleBinding",
    false,
  ),
  customResourceDefinitions: resource<CustomResourceDefinition>(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
  ),
} as const;

/** `v1` or `apps/v1`. */
export function apiVersionOf(of: Resource): string {
  return of.group === "" ? of.version : `${of.group}/${of.version}`;
}

/**
 * The URL path of a collection or, with a name, of one object.
 * A namespaced resource without a namespace means the collection over all namespaces.
 */
export function resourcePath(of: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root = of.group === "" ? `/api/${of.version}` : `/apis/${of.group}/${of.version}`;
  const scope = of.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const object = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  const sub = subresource === undefined ? "" : `/${subresource}`;
  return `${root}${scope}/${of.plural}${object}${sub}`;
}

/** `namespace/name`, or the name alone for cluster-scoped objects: the key of caches and queues. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}
