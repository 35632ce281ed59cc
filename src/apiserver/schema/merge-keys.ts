/**
 * How lists and structures of the API merge, which neither the wire format nor the documentation's JSON tells.
 * Source: the patchStrategy, patchMergeKey, listType, listMapKey and structType markers of k8s.io/api v0.36.
 */

/** One line a list: `type field patchKey[+retainKeys] [applyKey,applyKey]`; patchKey `=` is a list of plain values. */
const lists = `
meta.v1.ObjectMeta ownerReferences uid
meta.v1.ObjectMeta finalizers =
core.v1.PodSpec volumes name+retainKeys
core.v1.PodSpec initContainers name
core.v1.PodSpec containers name
core.v1.PodSpec ephemeralContainers name
core.v1.PodSpec imagePullSecrets name
core.v1.PodSpec hostAliases ip
core.v1.PodSpec topologySpreadConstraints topologyKey topologyKey,whenUnsatisfiable
core.v1.PodSpec schedulingGates name
core.v1.PodSpec resourceClaims name+retainKeys
core.v1.Container ports containerPort containerPort,protocol
core.v1.Container env name
core.v1.Container volumeMounts mountPath
core.v1.Container volumeDevices devicePath
core.v1.EphemeralContainerCommon ports containerPort containerPort,protocol
core.v1.EphemeralContainerCommon env name
core.v1.EphemeralContainerCommon volumeMounts mountPath
core.v1.EphemeralContainerCommon volumeDevices devicePath
core.v1.ContainerRestartRuleOnExitCodes values - =
core.v1.ContainerStatus allocatedResourcesStatus name
core.v1.ContainerStatus volumeMounts mountPath
core.v1.ResourceStatus resources - resourceID
core.v1.ResourceRequirements claims - name
core.v1.PodStatus conditions type
core.v1.PodStatus podIPs ip
core.v1.PodStatus hostIPs ip -
core.v1.PodStatus resourceClaimStatuses name+retainKeys
core.v1.ServiceSpec ports port port,protocol
core.v1.ServiceStatus conditions type
core.v1.ServiceAccount secrets name
core.v1.NodeSpec podCIDRs =
core.v1.NodeStatus conditions type
core.v1.NodeStatus addresses type
core.v1.NamespaceStatus conditions type
core.v1.ComponentStatus conditions type
core.v1.PersistentVolumeClaimStatus conditions type
core.v1.ReplicationControllerStatus conditions type
core.v1.NodeAllocatableResourceClaimStatus containers - =
apps.v1.DeploymentStatus conditions type
apps.v1.ReplicaSetStatus conditions type
apps.v1.DaemonSetStatus conditions type
apps.v1.StatefulSetStatus conditions type
batch.v1.JobStatus conditions type -
batch.v1.PodFailurePolicyOnExitCodesRequirement values - =
batch.v1.UncountedTerminatedPods failed - =
batch.v1.UncountedTerminatedPods succeeded - =
discovery.v1.Endpoint addresses - =
networking.v1.ServiceCIDRStatus conditions type
policy.v1.PodDisruptionBudgetStatus conditions type
autoscaling.v2.HorizontalPodAutoscalerStatus conditions type
storage.v1.CSINodeSpec drivers name
storage.v1.CSIDriverSpec volumeLifecycleModes - =
certificates.v1.CertificateSigningRequestStatus conditions - type
flowcontrol.v1.FlowSchemaStatus conditions type
flowcontrol.v1.PriorityLevelConfigurationStatus conditions type
flowcontrol.v1.NonResourcePolicyRule nonResourceURLs - =
flowcontrol.v1.NonResourcePolicyRule verbs - =
flowcontrol.v1.ResourcePolicyRule apiGroups - =
flowcontrol.v1.ResourcePolicyRule namespaces - =
flowcontrol.v1.ResourcePolicyRule resources - =
flowcontrol.v1.ResourcePolicyRule verbs - =
apiextensions.v1.CustomResourceDefinitionStatus conditions - type
admissionregistration.v1.MutatingWebhookConfiguration webhooks name
admissionregistration.v1.ValidatingWebhookConfiguration webhooks name
admissionregistration.v1.MutatingWebhook matchConditions name
admissionregistration.v1.ValidatingWebhook matchConditions name
admissionregistration.v1.MutatingAdmissionPolicySpec matchConditions name
admissionregistration.v1.ValidatingAdmissionPolicySpec matchConditions name
admissionregistration.v1.ValidatingAdmissionPolicySpec variables name
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec validationActions - =
admissionregistration.v1.ValidatingAdmissionPolicyStatus conditions - type
apiregistration.v1.APIServiceStatus conditions type
`;

/** Structures whose patch strategy is not to merge field by field. */
const structs = `
apps.v1.DeploymentSpec strategy retainKeys
policy.v1.PodDisruptionBudgetSpec selector replace
`;

/** Structures that one field manager owns as a whole (structType=atomic). */
const atomicTypes = new Set(
  `meta.v1.LabelSelector meta.v1.OwnerReference autoscaling.v1.CrossVersionObjectReference
  core.v1.ObjectReference core.v1.LocalObjectReference core.v1.TypedLocalObjectReference core.v1.SecretReference
  core.v1.ConfigMapKeySelector core.v1.SecretKeySelector core.v1.FileKeySelector core.v1.ObjectFieldSelector
  core.v1.ResourceFieldSelector core.v1.NodeSelector core.v1.NodeSelectorTerm core.v1.TopologySelectorTerm
  core.v1.ScopeSelector core.v1.EndpointAddress core.v1.EndpointPort discovery.v1.EndpointPort
  networking.v1.ServiceBackendPort rbac.v1.RoleRef rbac.v1.Subject admissionregistration.v1.MatchResources
  admissionregistration.v1.NamedRuleWithOperations admissionregistration.v1.ParamKind
  admissionregistration.v1.ParamRef admissionregistration.v1.Variable
  core.v1.ConfigMapNodeConfigSource authorization.v1.FieldSelectorAttributes core.v1.TypedObjectReference`.split(/\s+/),
);

/** Maps that one field manager owns as a whole (mapType=atomic). */
const atomicMaps = new Set([
  "core.v1.PodSpec.nodeSelector",
  "core.v1.ServiceSpec.selector",
  "core.v1.ReplicationControllerSpec.selector",
  "node.v1.Scheduling.nodeSelector",
]);

/** Structures that are no pointers in Go, so that they are there even when nothing was written: `type field field`. */
const embedded = `
apps.v1.DaemonSet spec status
apps.v1.DaemonSetSpec template updateStrategy
apps.v1.Deployment spec status
apps.v1.DeploymentSpec strategy template
apps.v1.ReplicaSet spec status
apps.v1.ReplicaSetSpec template
apps.v1.StatefulSet spec status
apps.v1.StatefulSetSpec template updateStrategy
autoscaling.v1.HorizontalPodAutoscaler spec status
autoscaling.v1.HorizontalPodAutoscalerSpec scaleTargetRef
autoscaling.v1.Scale spec status
autoscaling.v2.HorizontalPodAutoscaler spec status
autoscaling.v2.HorizontalPodAutoscalerSpec scaleTargetRef
batch.v1.CronJob spec status
batch.v1.CronJobSpec jobTemplate
batch.v1.Job spec status
batch.v1.JobSpec template
batch.v1.JobTemplateSpec spec
certificates.v1.CertificateSigningRequest spec status
coordination.v1.Lease spec
core.v1.Container resources
core.v1.EphemeralContainerCommon resources
core.v1.Event involvedObject source
core.v1.LimitRange spec
core.v1.Namespace spec status
core.v1.Node spec status
core.v1.NodeDaemonEndpoints kubeletEndpoint
core.v1.NodeStatus daemonEndpoints nodeInfo
core.v1.PersistentVolume spec status
core.v1.PersistentVolumeClaim spec status
core.v1.PersistentVolumeClaimSpec resources
core.v1.PersistentVolumeClaimTemplate spec
core.v1.Pod spec status
core.v1.PodTemplate template
core.v1.PodTemplateSpec spec
core.v1.ReplicationController spec status
core.v1.ResourceQuota spec status
core.v1.Service spec status
core.v1.ServiceStatus loadBalancer
events.v1.Event deprecatedSource regarding
networking.v1.IPAddress spec
networking.v1.Ingress spec status
networking.v1.IngressClass spec
networking.v1.IngressServiceBackend port
networking.v1.IngressStatus loadBalancer
networking.v1.NetworkPolicy spec
networking.v1.NetworkPolicySpec podSelector
networking.v1.ServiceCIDR spec status
policy.v1.PodDisruptionBudget spec status
rbac.v1.ClusterRoleBinding roleRef
rbac.v1.RoleBinding roleRef
storage.v1.CSIDriver spec
storage.v1.CSINode spec
storage.v1.VolumeAttachment spec status
storage.v1.VolumeAttachmentSpec source
flowcontrol.v1.FlowSchema spec status
flowcontrol.v1.PriorityLevelConfiguration spec status
admissionregistration.v1.MutatingWebhook clientConfig
admissionregistration.v1.ValidatingWebhook clientConfig
admissionregistration.v1.ValidatingAdmissionPolicy spec status
`;

/** How one field merges. */
export interface MergeRule {
  /** Strategic merge patch: the list's key, `=` for lists of plain values that merge; absent: replaced. */
  readonly patchKey?: string;
  readonly retainKeys?: boolean;
  /** A structure that a strategic merge patch replaces. */
  readonly replace?: boolean;
  /** A structure that Go holds in place: it is there, empty, before anything was written to it. */
  readonly embedded?: boolean;
  /** Server-side apply: the list's keys, `=` for a set; absent: owned as a whole. */
  readonly applyKeys?: readonly string[];
}

/** The table by `type.field`. */
export function mergeRules(): ReadonlyMap<string, MergeRule> {
  const rules = new Map<string, MergeRule>();
  for (const line of lists.trim().split("\n")) {
    const [type, field, patch = "-", apply] = line.split(" ");
    const [patchKey = "-", retain] = patch.split("+");
    const applyKeys = (apply ?? patchKey) === "-" ? undefined : (apply ?? patchKey).split(",");
    rules.set(`${type}.${field}`, {
      ...(patchKey !== "-" ? { patchKey } : {}),
      ...(retain ? { retainKeys: true } : {}),
      ...(applyKeys ? { applyKeys } : {}),
    });
  }
  for (const line of structs.trim().split("\n")) {
    const [type, field, strategy] = line.split(" ");
    rules.set(`${type}.${field}`, strategy === "replace" ? { replace: true } : { retainKeys: true });
  }
  for (const line of embedded.trim().split("\n")) {
    const [type, ...fields] = line.split(" ");
    for (const field of fields) {
      const key = `${type}.${field}`;
      rules.set(key, { ...rules.get(key), embedded: true });
    }
  }
  return rules;
}

/** Whether a structure is owned as a whole in server-side apply. */
export function isAtomicType(type: string): boolean {
  return atomicTypes.has(type);
}

/** Whether a map field is owned as a whole in server-side apply. */
export function isAtomicMap(type: string, field: string): boolean {
  return atomicMaps.has(`${type}.${field}`);
}
