import { cronJob, job } from "./batch.ts";
import { configMap, secret, serviceAccount } from "./config.ts";
import { daemonSet } from "./daemon-set.ts";
import type { Kind } from "./definition.ts";
import { deployment, replicaSet } from "./deployment.ts";
import { endpointSlice } from "./endpoint-slice.ts";
import { endpoints } from "./endpoints.ts";
import { event, eventV1 } from "./event.ts";
import { ingress, ingressClass } from "./ingress.ts";
import { namespace } from "./namespace.ts";
import { networkPolicy } from "./network-policy.ts";
import { node } from "./node.ts";
import { pod } from "./pod.ts";
import { lease, podDisruptionBudget, priorityClass } from "./policy.ts";
import { limitRange, resourceQuota } from "./quota.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "./rbac.ts";
import { replicationController } from "./replication-controller.ts";
import { podTemplate, type Review, reviews } from "./reviews.ts";
import { service } from "./service.ts";
import { ipAddress, serviceCidr } from "./service-cidr.ts";
import { controllerRevision, statefulSet } from "./stateful-set.ts";
import { persistentVolume, persistentVolumeClaim, storageClass } from "./storage.ts";

/** Every stored kind; the order is the order of discovery. */
export const kinds: readonly Kind[] = [
  configMap,
  endpoints,
  event,
  limitRange,
  namespace,
  node,
  persistentVolumeClaim,
  persistentVolume,
  pod,
  podTemplate,
  replicationController,
  resourceQuota,
  secret,
  serviceAccount,
  service,
  controllerRevision,
  daemonSet,
  deployment,
  replicaSet,
  statefulSet,
  eventV1,
  cronJob,
  job,
  ingressClass,
  ingress,
  ipAddress,
  networkPolicy,
  serviceCidr,
  podDisruptionBudget,
  clusterRoleBinding,
  clusterRole,
  roleBinding,
  role,
  storageClass,
  priorityClass,
  lease,
  endpointSlice,
];

/** API groups in discovery's order of preference. */
const groupOrder = [
  "",
  "apps",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "batch",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "scheduling.k8s.io",
  "coordination.k8s.io",
  "discovery.k8s.io",
];

/** One group and version with what it serves. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly Kind[];
  readonly reviews: readonly Review[];
}

/** The kinds by group, version and plural. */
export class Registry {
  readonly groups: readonly GroupVersion[];
  readonly #kinds = new Map<string, Kind>();
  readonly #reviews = new Map<string, Review>();

  constructor() {
    for (const kind of kinds) this.#kinds.set(`${kind.group}/${kind.version}/${kind.plural}`, kind);
    for (const review of reviews) this.#reviews.set(`${review.group}/${review.version}/${review.plural}`, review);
    this.groups = groupOrder.map((group) => ({
      group,
      version: "v1",
      kinds: kinds.filter((k) => k.group === group),
      reviews: reviews.filter((r) => r.group === group),
    }));
  }

  /** The kind of a path's group, version and resource. */
  kind(group: string, version: string, plural: string): Kind | undefined {
    return this.#kinds.get(`${group}/${version}/${plural}`);
  }

  /** A kind that is answered and never stored. */
  review(group: string, version: string, plural: string): Review | undefined {
    return this.#reviews.get(`${group}/${version}/${plural}`);
  }

  /** The kind of an apiVersion and kind. */
  byKind(apiVersion: string, kind: string): Kind | undefined {
    return kinds.find((k) => k.kind === kind && apiVersionOf(k) === apiVersion);
  }
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(kind: { readonly group: string; readonly version: string }): string {
  return kind.group ? `${kind.group}/${kind.version}` : kind.version;
}
