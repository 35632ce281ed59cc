import { controllerRoles } from "./controller-roles.ts";
import { type DefaultRole, readRoles, readRule } from "./role-table.ts";
import type { PolicyRule } from "./rules.ts";

const events = "create,patch,update core,events.k8s.io events";

/** What every node's agent may do where it is not a matter of which node asks; the system:node role has the same. */
const nodeLines = `
create authentication.k8s.io tokenreviews
create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
read core services
create,get,list,watch core nodes
patch,update core nodes/status
patch,update core nodes
${events}
read core pods
create,delete core pods
patch,update core pods/status
create core pods/eviction
read core configmaps,secrets
get core persistentvolumeclaims,persistentvolumes
get core endpoints
create,get,list,watch certificates.k8s.io certificatesigningrequests
create,delete,get,patch,update coordination.k8s.io leases
get storage.k8s.io volumeattachments
create core serviceaccounts/token
get,patch,update core persistentvolumeclaims/status
read storage.k8s.io csidrivers
create,delete,get,patch,update storage.k8s.io csinodes
read node.k8s.io runtimeclasses
get resource.k8s.io resourceclaims
deletecollection resource.k8s.io resourceslices
create,delete,get,list,patch,update,watch resource.k8s.io resourceslices
read certificates.k8s.io clustertrustbundles
create,get,list,watch certificates.k8s.io podcertificaterequests
get core serviceaccounts`;

/** Upstream's NodeRules. */
export const nodeRules: readonly PolicyRule[] = nodeLines.trim().split("\n").map(readRule);

const indented = nodeLines.replaceAll("\n", "\n  ");

/**
 * Upstream's default roles and bindings (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). `podwire:node-agent` is
 * ours: an agent holds the service proxy, the pod network and policy as well, which elsewhere have accounts of their own.
 */
const table = `
cluster-admin = group:system:masters
  * * *
  * *
admin <admin
edit +admin <edit
view +edit <view
system:aggregate-to-admin +admin
  create authorization.k8s.io localsubjectaccessreviews
  all rbac.authorization.k8s.io roles,rolebindings
system:aggregate-to-edit +edit
  read core pods/attach,pods/proxy,pods/exec,pods/portforward,secrets,services/proxy
  impersonate core serviceaccounts
  write core pods,pods/attach,pods/proxy,pods/exec,pods/portforward
  create core pods/eviction
  write core replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/proxy,persistentvolumeclaims,configmaps,secrets,events
  create core serviceaccounts/token
  write apps statefulsets,statefulsets/scale,daemonsets,deployments,deployments/scale,deployments/rollback,replicasets,replicasets/scale
  write autoscaling horizontalpodautoscalers
  write batch jobs,cronjobs
  write extensions daemonsets,deployments,deployments/scale,deployments/rollback,ingresses,replicasets,replicasets/scale,replicationcontrollers/scale,networkpolicies
  write policy poddisruptionbudgets
  write networking.k8s.io networkpolicies,ingresses
  all coordination.k8s.io leases
system:aggregate-to-view +view
  read core pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,configmaps
  read core limitranges,resourcequotas,bindings,events,pods/status,resourcequotas/status,namespaces/status,replicationcontrollers/status,pods/log
  read core namespaces
  read discovery.k8s.io endpointslices
  read apps controllerrevisions,statefulsets,statefulsets/status,statefulsets/scale,daemonsets,daemonsets/status,deployments,deployments/status,deployments/scale,replicasets,replicasets/status,replicasets/scale
  read autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
  read batch jobs,cronjobs,cronjobs/status,jobs/status
  read extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale,networkpolicies
  read policy poddisruptionbudgets,poddisruptionbudgets/status
  read networking.k8s.io networkpolicies,ingresses,ingresses/status
system:aggregated-metrics-reader +admin +edit +view
  read metrics.k8s.io nodes,pods
system:discovery = group:system:authenticated
  get /livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*
system:public-info-viewer = group:system:authenticated group:system:unauthenticated
  get /livez /readyz /healthz /version /version/
system:monitoring = group:system:monitoring
  get /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*
system:basic-user = group:system:authenticated
  create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
  create authentication.k8s.io selfsubjectreviews
system:service-account-issuer-discovery = group:system:serviceaccounts
  get /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/
system:auth-delegator
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
system:heapster
  read core events,pods,nodes,namespaces
  read extensions deployments
system:kube-aggregator
  read core services,endpoints
system:node =${indented}
system:node-problem-detector
  get core nodes
  patch core nodes/status
  ${events}
system:kubelet-api-admin
  get,list,watch core nodes
  proxy core nodes
  * core nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats
system:node-bootstrapper
  create,get,list,watch certificates.k8s.io certificatesigningrequests
system:persistent-volume-provisioner
  create,delete,get,list,watch core persistentvolumes
  get,list,update,watch core persistentvolumeclaims
  read storage.k8s.io storageclasses
  watch core events
  ${events}
system:kube-dns = sa:kube-system/kube-dns
  list,watch core endpoints,services
system:node-proxier = user:system:kube-proxy
  list,watch core services,endpoints
  read core nodes
  ${events}
  list,watch discovery.k8s.io endpointslices
  list,watch networking.k8s.io servicecidrs
system:volume-scheduler = user:system:kube-scheduler
  get,list,patch,update,watch core persistentvolumes
  read storage.k8s.io storageclasses
  get,list,patch,update,watch core persistentvolumeclaims
system:kube-scheduler = user:system:kube-scheduler
  ${events}
  create coordination.k8s.io leases
  get,list,update,watch coordination.k8s.io leases kube-scheduler
  create coordination.k8s.io leasecandidates
  all coordination.k8s.io leasecandidates
  read core nodes
  delete,get,list,watch core pods
  create core bindings,pods/binding
  patch,update core pods/status
  read core replicationcontrollers,services
  read apps,extensions replicasets
  read apps statefulsets
  read policy poddisruptionbudgets
  read core persistentvolumeclaims,persistentvolumes
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  read storage.k8s.io csinodes
  read core namespaces
  read storage.k8s.io csidrivers
  read storage.k8s.io csistoragecapacities
  read storage.k8s.io volumeattachments
system:kube-controller-manager = user:system:kube-controller-manager
  ${events}
  create coordination.k8s.io leases
  get,list,update,watch coordination.k8s.io leases kube-controller-manager
  create coordination.k8s.io leasecandidates
  create core secrets,serviceaccounts
  delete core secrets
  get core configmaps,namespaces,secrets,serviceaccounts
  update core secrets,serviceaccounts
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  list,watch * *
  create core serviceaccounts/token
system:certificates.k8s.io:certificatesigningrequests:nodeclient
  create certificates.k8s.io certificatesigningrequests/nodeclient
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
  create certificates.k8s.io certificatesigningrequests/selfnodeclient
system:certificates.k8s.io:kube-apiserver-client-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client
system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet
system:certificates.k8s.io:kubelet-serving-approver
  approve certificates.k8s.io signers kubernetes.io/kubelet-serving
system:certificates.k8s.io:legacy-unknown-approver
  approve certificates.k8s.io signers kubernetes.io/legacy-unknown
podwire:node-agent = group:system:nodes
  list,watch core nodes
  list,watch core endpoints
  list,watch core namespaces
  list,watch discovery.k8s.io endpointslices
  list,watch networking.k8s.io networkpolicies,servicecidrs
system:controller:bootstrap-signer @kube-public = sa:kube-system/bootstrap-signer
  read core configmaps
  update core configmaps cluster-info
  ${events}
system:controller:bootstrap-signer @kube-system = sa:kube-system/bootstrap-signer
  read core secrets
extension-apiserver-authentication-reader @kube-system = user:system:kube-controller-manager user:system:kube-scheduler as system::extension-apiserver-authentication-reader
  read core configmaps extension-apiserver-authentication
system::leader-locking-kube-controller-manager @kube-system = user:system:kube-controller-manager sa:kube-system/kube-controller-manager sa:kube-system/leader-election-controller
  create,get,list,update,watch coordination.k8s.io leases
  create,get,list,update,watch coordination.k8s.io leasecandidates
system::leader-locking-kube-scheduler @kube-system = user:system:kube-scheduler sa:kube-system/kube-scheduler
  create,get,list,update,watch coordination.k8s.io leases
  create,get,list,update,watch coordination.k8s.io leasecandidates
system:controller:cloud-provider @kube-system = sa:kube-system/cloud-provider
  create,get,list,watch core configmaps
podwire:kube-proxy-config @kube-system = group:system:nodes
  read core configmaps kube-proxy
system:controller:token-cleaner @kube-system = sa:kube-system/token-cleaner
  delete,get,list,watch core secrets
  ${events}
`;

/** Every role that a cluster starts with. */
export function defaultRoles(): DefaultRole[] {
  return [...readRoles(table), ...controllerRoles()];
}
