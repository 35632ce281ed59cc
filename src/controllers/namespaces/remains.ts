import type { Condition, KubeObject, Resource } from "#api/index.ts";
import { setCondition } from "../objects.ts";

/** What is left in a namespace that is being deleted, and what hinders it. */
export interface Remains {
  /** Objects by `plural.group`; the core group's end in a dot, as upstream prints them. */
  readonly counts: Readonly<Record<string, number>>;
  /** How many objects each finalizer holds. */
  readonly finalizers: Readonly<Record<string, number>>;
  /** What could not be deleted. */
  readonly failures: readonly string[];
  /** API groups that could not be asked for their resources. */
  readonly undiscovered: readonly string[];
}

/** Whether the namespace may go. */
export function isNothing({ counts, failures, undiscovered }: Remains): boolean {
  return Object.keys(counts).length + failures.length + undiscovered.length === 0;
}

/** Adds up what is left, resource by resource. */
export class RemainsBuilder implements Remains {
  readonly counts: Record<string, number> = {};
  readonly finalizers: Record<string, number> = {};
  readonly failures: string[] = [];
  readonly undiscovered: string[] = [];

  /** Objects of a resource that are still there. */
  add(of: Resource, left: readonly KubeObject[]): void {
    if (left.length === 0) return;
    this.counts[`${of.plural}.${of.group}`] = left.length;
    for (const held of left.flatMap(({ metadata }) => metadata.finalizers ?? [])) {
      this.finalizers[held] = (this.finalizers[held] ?? 0) + 1;
    }
  }

  /** Whether nothing was added yet. */
  isEmpty(): boolean {
    return Object.keys(this.counts).length + this.failures.length === 0;
  }
}

type Words = readonly [status: "True" | "False", reason: string, message: string];

/** The conditions of a namespace being deleted; types, order and texts are kube-controller-manager's. */
export function remainConditions(remains: Remains, present: readonly Condition[], now: Date): readonly Condition[] {
  const { failures, undiscovered } = remains;
  const counts = listed(remains.counts, (key, count) => `${key} has ${count} resource instances`);
  const finalizers = listed(remains.finalizers, (key, count) => `${key} in ${count} resource instances`);
  const groups = `unable to retrieve the complete list of server APIs: ${undiscovered.join(", ")}`;
  const discovery = `Discovery failed for some groups, ${undiscovered.length} failing: ${groups}`;
  const content = `Failed to delete all resource types, ${failures.length} remaining: ${[...failures].sort().join(", ")}`;
  const wanted: readonly (readonly [type: string, words: Words])[] = [
    [
      "NamespaceDeletionDiscoveryFailure",
      undiscovered.length > 0
        ? ["True", "DiscoveryFailed", discovery]
        : ["False", "ResourcesDiscovered", "All resources successfully discovered"],
    ],
    [
      "NamespaceDeletionGroupVersionParsingFailure",
      ["False", "ParsedGroupVersions", "All legacy kube types successfully parsed"],
    ],
    [
      "NamespaceDeletionContentFailure",
      failures.length > 0
        ? ["True", "ContentDeletionFailed", content]
        : ["False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"],
    ],
    [
      "NamespaceContentRemaining",
      counts
        ? ["True", "SomeResourcesRemain", `Some resources are remaining: ${counts}`]
        : ["False", "ContentRemoved", "All content successfully removed"],
    ],
    [
      "NamespaceFinalizersRemaining",
      finalizers
        ? ["True", "SomeFinalizersRemain", `Some content in the namespace has finalizers remaining: ${finalizers}`]
        : ["False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"],
    ],
  ];
  return wanted.reduce(
    (all, [type, [status, reason, message]]) => setCondition(all, { type, status, reason, message }, now),
    present,
  );
}

function listed(entries: Readonly<Record<string, number>>, say: (key: string, count: number) => string): string {
  return Object.keys(entries)
    .sort()
    .map((key) => say(key, entries[key] ?? 0))
    .join(", ");
}
