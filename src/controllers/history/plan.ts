import type { ControllerRevision, KubeObject, PodTemplateSpec, Resource } from "#api/index.ts";
import { canonicalJson, equalJson } from "#base/json.ts";
import { controllerOf, controllerReference } from "../objects.ts";
import { safeHash } from "./hash.ts";

/** A DaemonSet or a StatefulSet: what has its templates kept as ControllerRevisions. */
export interface Versioned extends KubeObject {
  readonly spec: { readonly template: PodTemplateSpec; readonly revisionHistoryLimit?: number };
}

/** How a kind keeps its history. */
export interface HistoryRules {
  readonly of: Resource;
  /** The label of a ControllerRevision that holds its hash. */
  readonly hashLabel: string;
}

/** What the history of an object needs for its present template. */
export interface HistoryPlan {
  /** A revision of the present template exists: this one. */
  readonly present?: ControllerRevision;
  /** None does: create this one. */
  readonly create?: ControllerRevision;
  /** `present` is an older one, to which somebody went back: it becomes the newest by this number. */
  readonly renumber?: number;
}

/** By their number, the oldest first; name breaks ties. */
export function sortRevisions(revisions: readonly ControllerRevision[]): ControllerRevision[] {
  return [...revisions].sort((a, b) => a.revision - b.revision || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** The template as a strategic merge patch that replaces the present one: what `kubectl rollout undo` sends. */
export function revisionData(template: PodTemplateSpec): NonNullable<ControllerRevision["data"]> {
  return { spec: { template: { ...template, $patch: "replace" } as PodTemplateSpec } };
}

/** The template that a revision keeps. */
export function templateOfRevision(revision: ControllerRevision): PodTemplateSpec | undefined {
  const template = revision.data?.spec?.template;
  if (template === undefined) return undefined;
  const { $patch: _, ...rest } = template as PodTemplateSpec & { $patch?: string };
  return rest;
}

/** Compares the present template with the revisions that the object owns. @param collisions of names so far */
export function planHistory(
  owner: Versioned,
  revisions: readonly ControllerRevision[],
  rules: HistoryRules,
  collisions: number,
): HistoryPlan {
  const sorted = sortRevisions(revisions);
  const data = revisionData(owner.spec.template);
  const newest = sorted.at(-1);
  const next = (newest?.revision ?? 0) + 1;
  const equal = sorted.filter((one) => equalJson(one.data, data)).at(-1);
  if (equal) return equal === newest ? { present: equal } : { present: equal, renumber: next };
  const hash = safeHash(`${canonicalJson(data)}${collisions || ""}`);
  const { name, namespace, annotations } = owner.metadata;
  const create: ControllerRevision = {
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...owner.spec.template.metadata?.labels, [rules.hashLabel]: hash },
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [controllerReference(rules.of, owner)],
    },
    data,
    revision: next,
  };
  return { create };
}

/** Revisions beyond the limit that nothing uses, the oldest first. @param live names of those in use */
export function surplusRevisions(
  owner: Versioned,
  revisions: readonly ControllerRevision[],
  live: ReadonlySet<string>,
): ControllerRevision[] {
  const idle = sortRevisions(revisions).filter(({ metadata }) => !live.has(metadata.name));
  return idle.slice(0, Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10)));
}

/** Revisions without an owner that the selector would choose: an owner that came back takes them. */
export function isFree(revision: ControllerRevision): boolean {
  return controllerOf(revision) === undefined && revision.metadata.deletionTimestamp === undefined;
}
