import type { Condition, KubeObject, LabelSelector, LocalObjectReference, ObjectReference } from "./meta.ts";

/** core/v1 ConfigMap; binaryData is base64. */
export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** core/v1 Secret; data is base64. */
export interface Secret extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** node.k8s.io/v1 RuntimeClass. */
export interface RuntimeClass extends KubeObject {
  /** What a node's kubelet goes by. */
  readonly handler: string;
}

/** core/v1 Namespace. */
export interface Namespace extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: "Active" | "Terminating"; readonly conditions?: readonly Condition[] };
}

/** core/v1 ServiceAccount. */
export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly LocalObjectReference[];
  readonly automountServiceAccountToken?: boolean;
}

/** authentication.k8s.io/v1 TokenRequest. */
export interface TokenRequest extends KubeObject {
  readonly spec: {
    readonly audiences?: readonly string[];
    readonly expirationSeconds?: number;
    readonly boundObjectRef?: ObjectReference;
  };
  readonly status?: { readonly token: string; readonly expirationTimestamp: string };
}

/** rbac.authorization.k8s.io/v1 PolicyRule. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** rbac.authorization.k8s.io/v1 Role. */
export interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[];
}

/** rbac.authorization.k8s.io/v1 ClusterRole. */
export interface ClusterRole extends Role {
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}

/** rbac.authorization.k8s.io/v1 RoleBinding and ClusterRoleBinding. */
export interface RoleBinding extends KubeObject {
  readonly subjects?: readonly {
    readonly kind: "User" | "Group" | "ServiceAccount";
    readonly apiGroup?: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string };
}

/** coordination.k8s.io/v1 Lease; times are MicroTime strings. */
export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** core/v1 Event. */
export interface Event extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly source?: { readonly component?: string; readonly host?: string };
  readonly firstTimestamp?: string | null;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly count?: number;
  readonly type?: "Normal" | "Warning" | string;
  readonly action?: string;
  readonly reportingComponent?: string;
  readonly reportingInstance?: string;
}
