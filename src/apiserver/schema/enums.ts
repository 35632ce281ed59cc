const protocol = ["SCTP", "TCP", "UDP"];
const policies = ["Cluster", "Local"];
const honor = ["Honor", "Ignore"];
const volumeMode = ["Block", "Filesystem"];
const effect = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
const rolling = ["OnDelete", "RollingUpdate"];

/** The values of fields that upstream marks with +enum (staging/src/k8s.io/api), by type and field, as documents list them. */
export const enums: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "apps.v1.DaemonSetUpdateStrategy": { type: rolling },
  "apps.v1.DeploymentStrategy": { type: ["Recreate", "RollingUpdate"] },
  "apps.v1.StatefulSetSpec": { podManagementPolicy: ["OrderedReady", "Parallel"] },
  "apps.v1.StatefulSetUpdateStrategy": { type: rolling },
  "batch.v1.CronJobSpec": { concurrencyPolicy: ["Allow", "Forbid", "Replace"] },
  "batch.v1.JobSpec": {
    completionMode: ["Indexed", "NonIndexed"],
    podReplacementPolicy: ["Failed", "TerminatingOrFailed"],
  },
  "core.v1.Container": {
    imagePullPolicy: ["Always", "IfNotPresent", "Never"],
    terminationMessagePolicy: ["FallbackToLogsOnError", "File"],
  },
  "core.v1.ContainerPort": { protocol },
  "core.v1.EndpointPort": { protocol },
  "core.v1.HTTPGetAction": { scheme: ["HTTP", "HTTPS"] },
  "core.v1.HostPathVolumeSource": {
    type: ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
  },
  "core.v1.NamespaceStatus": { phase: ["Active", "Terminating"] },
  "core.v1.NodeSelectorRequirement": { operator: ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"] },
  "core.v1.PersistentVolumeClaimSpec": { volumeMode },
  "core.v1.PersistentVolumeClaimStatus": { phase: ["Bound", "Lost", "Pending"] },
  "core.v1.PersistentVolumeSpec": { volumeMode, persistentVolumeReclaimPolicy: ["Delete", "Recycle", "Retain"] },
  "core.v1.PersistentVolumeStatus": { phase: ["Available", "Bound", "Failed", "Pending", "Released"] },
  "core.v1.PodSpec": {
    dnsPolicy: ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    preemptionPolicy: ["Never", "PreemptLowerPriority"],
    restartPolicy: ["Always", "Never", "OnFailure"],
  },
  "core.v1.PodStatus": {
    phase: ["Failed", "Pending", "Running", "Succeeded", "Unknown"],
    qosClass: ["BestEffort", "Burstable", "Guaranteed"],
  },
  "core.v1.SeccompProfile": { type: ["Localhost", "RuntimeDefault", "Unconfined"] },
  "core.v1.ServicePort": { protocol },
  "core.v1.ServiceSpec": {
    externalTrafficPolicy: policies,
    internalTrafficPolicy: policies,
    ipFamilyPolicy: ["PreferDualStack", "RequireDualStack", "SingleStack"],
    sessionAffinity: ["ClientIP", "None"],
    type: ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
  },
  "core.v1.Taint": { effect },
  "core.v1.Toleration": { effect, operator: ["Equal", "Exists"] },
  "core.v1.TopologySpreadConstraint": {
    nodeAffinityPolicy: honor,
    nodeTaintsPolicy: honor,
    whenUnsatisfiable: ["DoNotSchedule", "ScheduleAnyway"],
  },
  "core.v1.VolumeMount": { mountPropagation: ["Bidirectional", "HostToContainer", "None"] },
  "discovery.v1.EndpointSlice": { addressType: ["FQDN", "IPv4", "IPv6"] },
  "networking.v1.HTTPIngressPath": { pathType: ["Exact", "ImplementationSpecific", "Prefix"] },
  "networking.v1.NetworkPolicyPort": { protocol },
};
