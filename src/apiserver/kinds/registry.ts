import { customResourceDefinition } from "../custom/definition-kind.ts";
import {
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  mutatingWebhookConfiguration,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
  validatingWebhookConfiguration,
} from "./admission/index.ts";
import { apiService } from "./api-service.ts";
import { horizontalPodAutoscaler, horizontalPodAutoscalerV1 } from "./autoscaling/index.ts";
import { cronJob, job } from "./batch.ts";
import { certificateSigningRequest } from "./certificates/index.ts";
import { componentStatus } from "./component-status.ts";
import { configMap, secret, serviceAccount } from "./config.ts";
import { csiDriver, csiNode, csiStorageCapacity, volumeAttachment, volumeAttributesClass } from "./csi.ts";
import { daemonSet } from "./daemon-set.ts";
import type { Kind } from "./definition.ts";
import { deployment, replicaSet } from "./deployment.ts";
import { deviceClass, resourceClaim, resourceClaimTemplate, resourceSlice } from "./dynamic-resources.ts";
import { endpointSlice } from "./endpoint-slice.ts";
import { endpoints } from "./endpoints.ts";
import { event, eventV1 } from "./event.ts";
import { flowSchema, priorityLevelConfiguration } from "./flow-control.ts";
import { ingress, ingressClass } from "./ingress.ts";
import { nodeMetrics, podMetrics } from "./metrics.ts";
import { namespace } from "./namespace.ts";
import { networkPolicy } from "./network-policy.ts";
import { node } from "./node.ts";
import { pod } from "./pod.ts";
import { lease, podDisruptionBudget, priorityClass } from "./policy.ts";
import { limitRange, resourceQuota } from "./quota.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "./rbac.ts";
import { replicationController } from "./replication-controller.ts";
import { podTemplate, type Review, reviews } from "./reviews.ts";
import { runtimeClass } from "./runtime-class.ts";
import { service } from "./service.ts";
import { ipAddress, serviceCidr } from "./service-cidr.ts";
import { controllerRevision, statefulSet } from "./stateful-set.ts";
import { persistentVolume, persistentVolumeClaim, storageClass } from "./storage.ts";

/** Every stored kind; the order is the order of discovery. */
export const kinds: readonly Kind[] = [
  componentStatus,
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
  apiService,
  controllerRevision,
  daemonSet,
  deployment,
  replicaSet,
  statefulSet,
  eventV1,
  horizontalPodAutoscaler,
  horizontalPodAutoscalerV1,
  cronJob,
  job,
  certificateSigningRequest,
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
  csiDriver,
  csiNode,
  csiStorageCapacity,
  storageClass,
  volumeAttachment,
  volumeAttributesClass,
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  mutatingWebhookConfiguration,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
  validatingWebhookConfiguration,
  priorityClass,
  lease,
  runtimeClass,
  endpointSlice,
  flowSchema,
  priorityLevelConfiguration,
  deviceClass,
  resourceClaim,
  resourceClaimTemplate,
  resourceSlice,
  customResourceDefinition,
  nodeMetrics,
  podMetrics,
];

/** API groups with their versions in discovery's order, and the priority that their APIServices state. */
const groupOrder: readonly (readonly [group: string, versions: readonly string[], priority: number])[] = [
  ["", ["v1"], 18000],
  ["apiregistration.k8s.io", ["v1"], 18000],
  ["apps", ["v1"], 17800],
  ["events.k8s.io", ["v1"], 17750],
  ["authentication.k8s.io", ["v1"], 17700],
  ["authorization.k8s.io", ["v1"], 17600],
  ["autoscaling", ["v2", "v1"], 17500],
  ["batch", ["v1"], 17400],
  ["certificates.k8s.io", ["v1"], 17300],
  ["networking.k8s.io", ["v1"], 17200],
  ["policy", ["v1"], 17100],
  ["rbac.authorization.k8s.io", ["v1"], 17000],
  ["storage.k8s.io", ["v1"], 16800],
  ["admissionregistration.k8s.io", ["v1"], 16700],
  ["apiextensions.k8s.io", ["v1"], 16700],
  ["scheduling.k8s.io", ["v1"], 16600],
  ["coordination.k8s.io", ["v1"], 16500],
  ["node.k8s.io", ["v1"], 16300],
  ["discovery.k8s.io", ["v1"], 16200],
  ["flowcontrol.apiserver.k8s.io", ["v1"], 16100],
  ["resource.k8s.io", ["v1"], 15900],
  ["metrics.k8s.io", ["v1beta1"], 100],
];

/** One group and version with what it serves. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly Kind[];
  readonly reviews: readonly Review[];
  /** groupPriorityMinimum of its APIService. */
  readonly priority: number;
}

/** The kinds by group, version and plural. Those of custom objects come and go. */
export class Registry {
  /** One entry a group and version; the versions of a group stand together, the preferred one first. */
  groups: readonly GroupVersion[];
  /** Grows with every change of what is served. */
  revision = 0;
  readonly #builtIn: readonly GroupVersion[];
  readonly #custom = new Map<string, readonly Kind[]>();
  readonly #kinds = new Map<string, Kind>();
  readonly #reviews = new Map<string, Review>();

  constructor() {
    for (const kind of kinds) this.#kinds.set(`${kind.group}/${kind.version}/${kind.plural}`, kind);
    for (const review of reviews) this.#reviews.set(`${review.group}/${review.version}/${review.plural}`, review);
    this.#builtIn = groupOrder.flatMap(([group, versions, priority]) =>
      versions.map((version) => ({
        group,
        version,
        kinds: kinds.filter((k) => k.group === group && k.version === version),
        reviews: reviews.filter((r) => r.group === group && r.version === version),
        priority,
      })),
    );
    this.groups = this.#builtIn;
  }

  /** Serves the kinds of a definition instead of those that it had before; without any it is not served at all. */
  setCustom(definition: string, served: readonly Kind[]): void {
    for (const kind of this.#custom.get(definition) ?? []) this.#kinds.delete(keyOfKind(kind));
    // What the server has itself cannot be replaced.
    const free = served.filter((kind) => !this.#kinds.has(keyOfKind(kind)));
    for (const kind of free) this.#kinds.set(keyOfKind(kind), kind);
    if (free.length > 0) this.#custom.set(definition, free);
    else this.#custom.delete(definition);
    this.groups = withCustom(this.#builtIn, [...this.#custom.values()].flat());
    this.revision++;
  }

  /** Whether the server itself has a resource, whatever version: `plural.group`. */
  hasBuiltIn(resource: string): boolean {
    return this.#builtIn.some(({ kinds }) => kinds.some((kind) => kind.storage === resource));
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
    return [...this.#kinds.values()].find((k) => k.kind === kind && apiVersionOf(k) === apiVersion);
  }
}

const keyOfKind = (kind: Kind) => `${kind.group}/${kind.version}/${kind.plural}`;

/** The groups with kinds of custom objects among them; new groups stand at the end by name. */
function withCustom(builtIn: readonly GroupVersion[], custom: readonly Kind[]): GroupVersion[] {
  const of = (kind: Kind, g: GroupVersion) => kind.group === g.group && kind.version === g.version;
  const sorted = custom.toSorted((a, b) => (a.plural < b.plural ? -1 : 1));
  const extended = builtIn.map((g) => ({ ...g, kinds: [...g.kinds, ...sorted.filter((kind) => of(kind, g))] }));
  const added = new Map<string, GroupVersion>();
  for (const kind of sorted) {
    if (builtIn.some((g) => of(kind, g))) continue;
    const key = apiVersionOf(kind);
    const before = added.get(key)?.kinds ?? [];
    added.set(key, { group: kind.group, version: kind.version, kinds: [...before, kind], reviews: [], priority: 1000 });
  }
  const order = (g: GroupVersion) => {
    const at = builtIn.findIndex((b) => b.group === g.group);
    return at < 0 ? builtIn.length : at;
  };
  return [...extended, ...added.values()].sort(
    (a, b) =>
      order(a) - order(b) || (a.group < b.group ? -1 : a.group > b.group ? 1 : compareVersions(a.version, b.version)),
  );
}

/** The order of versions: stable ones, then beta, then alpha, each from the newest (apimachinery pkg/version). */
export function compareVersions(a: string, b: string): number {
  const rank = (text: string): [number, number, number] | undefined => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text);
    if (!match) return undefined;
    const stage = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
    return [stage, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [left, right] = [rank(a), rank(b)];
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : a > b ? 1 : 0;
  return right[0] - left[0] || right[1] - left[1] || right[2] - left[2];
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(kind: { readonly group: string; readonly version: string }): string {
  return kind.group ? `${kind.group}/${kind.version}` : kind.version;
}
