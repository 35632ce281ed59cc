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
core.v1.ResourceRequirements claims - name
core.v1.PodStatus conditions type
core.v1.PodStatus podIPs ip
core.v1.PodStatus hostIPs ip -
core.v1.ServiceSpec ports port port,protocol
core.v1.ServiceStatus conditions type
core.v1.ServiceAccount secrets name
core.v1.NodeSpec podCIDRs =
core.v1.NodeStatus conditions type
core.v1.NodeStatus addresses type
core.v1.NamespaceStatus conditions type
core.v1.PersistentVolumeClaimStatus conditions type
core.v1.ReplicationControllerStatus conditions type
apps.v1.DeploymentStatus conditions type
apps.v1.ReplicaSetStatus conditions type
apps.v1.DaemonSetStatus conditions type
apps.v1.StatefulSetStatus conditions type
batch.v1.JobStatus conditions type -
discovery.v1.Endpoint addresses - =
networking.v1.NetworkPolicyStatus conditions type
networking.v1.ServiceCIDRStatus conditions type
policy.v1.PodDisruptionBudgetStatus conditions type
autoscaling.v2.HorizontalPodAutoscalerStatus conditions type
storage.v1.CSINodeSpec drivers name
certificates.v1.CertificateSigningRequestStatus conditions - type
admissionregistration.v1.ValidatingWebhookConfiguration webhooks name
admissionregistration.v1.MutatingWebhookConfiguration webhooks name
admissionregistration.v1.ValidatingWebhook matchConditions name
admissionregistration.v1.MutatingWebhook matchConditions name
admissionregistration.v1.ValidatingAdmissionPolicySpec matchConditions name
admissionregistration.v1.ValidatingAdmissionPolicySpec variables name
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec validationActions - =
admissionregistration.v1.ValidatingAdmissionPolicyStatus conditions - type
admissionregistration.v1.MutatingAdmissionPolicySpec matchConditions name
apiregistration.v1.APIServiceStatus conditions type
flowcontrol.v1.FlowSchemaStatus conditions type
flowcontrol.v1.PriorityLevelConfigurationStatus conditions type
`;

/** Structures whose patch strategy is not to merge field by field. */
const structs = `
apps.v1.DeploymentSpec strategy retainKeys
policy.v1.PodDisruptionBudgetSpec selector replace
`;

/** Structures that one field manager owns as a whole (structType=atomic). */
const atomicTypes = new Set(
  `meta.v1.LabelSelector core.v1.ObjectReference core.v1.LocalObjectReference core.v1.TypedLocalObjectReference
  core.v1.SecretReference core.v1.ConfigMapKeySelector core.v1.SecretKeySelector core.v1.FileKeySelector
  core.v1.ObjectFieldSelector core.v1.ResourceFieldSelector core.v1.NodeSelector core.v1.NodeSelectorTerm
  core.v1.TopologySelectorTerm core.v1.ScopeSelector core.v1.ConfigMapNodeConfigSource rbac.v1.RoleRef rbac.v1.Subject
  core.v1.EndpointAddress core.v1.EndpointPort discovery.v1.EndpointPort
  networking.v1.ServiceBackendPort authorization.v1.FieldSelectorAttributes core.v1.TypedObjectReference
  admissionregistration.v1.ParamKind admissionregistration.v1.ParamRef admissionregistration.v1.MatchResources
  admissionregistration.v1.NamedRuleWithOperations`.split(/\s+/),
);

/** Maps that one field manager owns as a whole (mapType=atomic). */
const atomicMaps = new Set([
  "core.v1.PodSpec.nodeSelector",
  "core.v1.ServiceSpec.selector",
  "core.v1.ReplicationControllerSpec.selector",
]);

/** How one field merges. */
export interface MergeRule {
  /** Strategic merge patch: the list's key, `=` for lists of plain values that merge; absent: replaced. */
  readonly patchKey?: string;
  readonly retainKeys?: boolean;
  /** A structure that a strategic merge patch replaces. */
  readonly replace?: boolean;
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
