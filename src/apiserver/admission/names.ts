/** The admission plugins of kube-apiserver that are there, all of them on unless they are disabled. */
export const admissionPlugins = [
  "CertificateApproval",
  "CertificateSigning",
  "CertificateSubjectRestriction",
  "DefaultIngressClass",
  "DefaultStorageClass",
  "DefaultTolerationSeconds",
  "LimitRanger",
  "NamespaceLifecycle",
  "NodeRestriction",
  "PodSecurity",
  "Priority",
  "ResourceQuota",
  "RuntimeClass",
  "ServiceAccount",
  "StorageObjectInUseProtection",
  "TaintNodesByCondition",
] as const;

/** Name of a plugin that is there. */
export type AdmissionPlugin = (typeof admissionPlugins)[number];

/**
 * The plugins of kube-apiserver 1.36 that are not there.
 * Source: kubernetes.io/docs/reference/access-authn-authz/admission-controllers.
 */
export const absentPlugins: readonly string[] = [
  "AlwaysAdmit",
  "AlwaysDeny",
  "AlwaysPullImages",
  "ClusterTrustBundleAttest",
  "DenyServiceExternalIPs",
  "EventRateLimit",
  "ExtendedResourceToleration",
  "ImagePolicyWebhook",
  "LimitPodHardAntiAffinityTopology",
  "MutatingAdmissionPolicy",
  "MutatingAdmissionWebhook",
  "NamespaceAutoProvision",
  "NamespaceExists",
  "NodeDeclaredFeatureValidator",
  "OwnerReferencesPermissionEnforcement",
  "PersistentVolumeClaimResize",
  "PodNodeSelector",
  "PodTolerationRestriction",
  "PodTopologyLabels",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionWebhook",
];

/** Whether a plugin is on. */
export type PluginSwitch = (plugin: AdmissionPlugin) => boolean;
