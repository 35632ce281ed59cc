/**
 * Scalars that are pointers in Kubernetes' Go types: there an explicit zero on the wire means zero, elsewhere it means
 * absent (Go's `omitempty`). The protobuf descriptors do not tell, so the names are listed here (k8s.io/api v0.36).
 */
const everywhere = new Set(
  `replicas terminationGracePeriodSeconds activeDeadlineSeconds revisionHistoryLimit progressDeadlineSeconds parallelism
  completions backoffLimit backoffLimitPerIndex maxFailedIndexes ttlSecondsAfterFinished manualSelector suspend
  automountServiceAccountToken immutable allowPrivilegeEscalation privileged runAsUser runAsGroup runAsNonRoot fsGroup
  fsGroupChangePolicy supplementalGroupsPolicy readOnlyRootFilesystem procMount defaultMode mode optional storageClassName
  volumeMode volumeAttributesClassName preemptionPolicy controller blockOwnerDeletion expirationSeconds
  internalTrafficPolicy ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass trafficDistribution ipMode
  enableServiceLinks shareProcessNamespace hostUsers priority runtimeClassName setHostnameAsFQDN tolerationSeconds
  ingressClassName pathType serving terminating gracePeriodSeconds orphanDependents propagationPolicy
  deletionGracePeriodSeconds successfulJobsHistoryLimit failedJobsHistoryLimit startingDeadlineSeconds timeZone
  leaseDurationSeconds leaseTransitions holderIdentity preferredHolder endPort allowVolumeExpansion
  reclaimPolicy volumeBindingMode attachRequired podInfoOnMount requiresRepublish fsGroupPolicy storageCapacity
  seLinuxMount minDomains nodeAffinityPolicy nodeTaintsPolicy matchLabelPolicy mountPropagation recursiveReadOnly
  restartPolicyRules completionMode podReplacementPolicy managedBy currentCPUUtilizationPercentage
  targetCPUUtilizationPercentage averageUtilization minReplicas stabilizationWindowSeconds selectPolicy
  unhealthyPodEvictionPolicy signerName stopSignal gmsaCredentialSpecName gmsaCredentialSpec
  runAsUserName hostProcess localhostProfile`.split(/\s+/),
);

const qualified = new Set(
  `core.v1.EndpointAddress.nodeName core.v1.EndpointPort.appProtocol core.v1.ServicePort.appProtocol
  core.v1.PodSecurityContext.seLinuxChangePolicy core.v1.PodSpec.hostnameOverride core.v1.Probe.terminationGracePeriodSeconds
  core.v1.GRPCAction.service core.v1.ContainerStatus.started core.v1.Container.restartPolicy core.v1.EphemeralContainerCommon.restartPolicy
  core.v1.ClientIPConfig.timeoutSeconds core.v1.PodDNSConfigOption.value core.v1.PodLogOptions.sinceSeconds
  core.v1.PodLogOptions.tailLines core.v1.PodLogOptions.limitBytes core.v1.PodLogOptions.stream core.v1.EmptyDirVolumeSource.sizeLimit
  core.v1.HostPathVolumeSource.type core.v1.CSIVolumeSource.readOnly core.v1.CSIVolumeSource.fsType core.v1.AppArmorProfile.localhostProfile
  core.v1.TypedLocalObjectReference.apiGroup core.v1.TypedObjectReference.apiGroup core.v1.TypedObjectReference.namespace
  core.v1.PodResourceClaim.resourceClaimName core.v1.PodResourceClaim.resourceClaimTemplateName core.v1.PortStatus.error
  core.v1.ClusterTrustBundleProjection.name core.v1.ClusterTrustBundleProjection.signerName core.v1.LoadBalancerIngress.ipMode
  core.v1.PersistentVolumeClaimStatus.currentVolumeAttributesClassName core.v1.SecurityContext.procMount core.v1.LocalVolumeSource.fsType
  discovery.v1.Endpoint.hostname discovery.v1.Endpoint.nodeName discovery.v1.Endpoint.zone discovery.v1.EndpointConditions.ready
  discovery.v1.EndpointPort.name discovery.v1.EndpointPort.protocol discovery.v1.EndpointPort.port discovery.v1.EndpointPort.appProtocol
  networking.v1.NetworkPolicyPort.protocol networking.v1.IngressClassParametersReference.apiGroup
  networking.v1.IngressClassParametersReference.scope networking.v1.IngressClassParametersReference.namespace
  networking.v1.IngressPortStatus.error apps.v1.RollingUpdateStatefulSetStrategy.partition apps.v1.StatefulSetStatus.collisionCount
  apps.v1.DeploymentStatus.collisionCount apps.v1.DaemonSetStatus.collisionCount apps.v1.DeploymentStatus.terminatingReplicas
  apps.v1.ReplicaSetStatus.terminatingReplicas
  batch.v1.JobStatus.terminating batch.v1.JobStatus.ready batch.v1.JobStatus.failedIndexes batch.v1.SuccessPolicyRule.succeededIndexes
  batch.v1.SuccessPolicyRule.succeededCount batch.v1.PodFailurePolicyOnExitCodesRequirement.containerName
  meta.v1.DeleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential meta.v1.ListOptions.timeoutSeconds meta.v1.ListOptions.sendInitialEvents
  meta.v1.PatchOptions.force meta.v1.Preconditions.uid meta.v1.Preconditions.resourceVersion meta.v1.ListMeta.remainingItemCount
  authentication.v1.TokenRequestSpec.expirationSeconds storage.v1.CSIDriverSpec.nodeAllocatableUpdatePeriodSeconds
  autoscaling.v1.HorizontalPodAutoscalerStatus.observedGeneration autoscaling.v2.HorizontalPodAutoscalerStatus.observedGeneration
  policy.v1.PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy coordination.v1.LeaseSpec.strategy
  storage.v1.VolumeAttachmentSource.persistentVolumeName storage.v1.VolumeError.errorCode storage.v1.VolumeNodeResources.count
  admissionregistration.v1.ValidatingWebhook.failurePolicy admissionregistration.v1.ValidatingWebhook.matchPolicy
  admissionregistration.v1.ValidatingWebhook.sideEffects admissionregistration.v1.ValidatingWebhook.timeoutSeconds
  admissionregistration.v1.MutatingWebhook.failurePolicy admissionregistration.v1.MutatingWebhook.matchPolicy
  admissionregistration.v1.MutatingWebhook.sideEffects admissionregistration.v1.MutatingWebhook.timeoutSeconds
  admissionregistration.v1.MutatingWebhook.reinvocationPolicy admissionregistration.v1.Rule.scope
  admissionregistration.v1.ServiceReference.path admissionregistration.v1.ServiceReference.port
  admissionregistration.v1.WebhookClientConfig.url admissionregistration.v1.MatchResources.matchPolicy
  admissionregistration.v1.ValidatingAdmissionPolicySpec.failurePolicy admissionregistration.v1.Validation.reason
  admissionregistration.v1.MutatingAdmissionPolicySpec.failurePolicy
  admissionregistration.v1.ParamRef.parameterNotFoundAction apiregistration.v1.ServiceReference.port
  resource.v1.AllocatedDeviceStatus.shareID resource.v1.Device.allNodes resource.v1.Device.allowMultipleAllocations
  resource.v1.Device.bindsToNode resource.v1.Device.nodeName resource.v1.DeviceAttribute.bool resource.v1.DeviceAttribute.int
  resource.v1.DeviceAttribute.string resource.v1.DeviceAttribute.version resource.v1.DeviceClassSpec.extendedResourceName
  resource.v1.DeviceConstraint.distinctAttribute resource.v1.DeviceConstraint.matchAttribute
  resource.v1.DeviceRequestAllocationResult.adminAccess resource.v1.DeviceRequestAllocationResult.shareID
  resource.v1.ExactDeviceRequest.adminAccess resource.v1.ResourceSliceSpec.allNodes resource.v1.ResourceSliceSpec.nodeName
  resource.v1.ResourceSliceSpec.perDeviceNodeSelection
  flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares
  flowcontrol.v1.LimitedPriorityLevelConfiguration.lendablePercent
  flowcontrol.v1.LimitedPriorityLevelConfiguration.borrowingLimitPercent
  flowcontrol.v1.ExemptPriorityLevelConfiguration.nominalConcurrencyShares
  flowcontrol.v1.ExemptPriorityLevelConfiguration.lendablePercent`.split(/\s+/),
);

const never = new Set(
  `core.v1.ReplicationControllerStatus.replicas apps.v1.DeploymentStatus.replicas apps.v1.ReplicaSetStatus.replicas
  apps.v1.StatefulSetStatus.replicas autoscaling.v1.ScaleSpec.replicas autoscaling.v1.ScaleStatus.replicas
  core.v1.ReplicationControllerSpec.minReadySeconds authentication.v1.TokenReviewSpec.token`.split(/\s+/),
);

/** Whether `type.field` is a pointer in Go. */
export function pointerScalars(type: string, field: string): boolean {
  const full = `${type}.${field}`;
  return !never.has(full) && (qualified.has(full) || everywhere.has(field));
}
