import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import type { Meta } from "../../object.ts";

/** A pod, or the template of one. */
export interface PodLike {
  readonly metadata: Pick<Meta, "annotations">;
  readonly spec: V1PodSpec;
}

/** Why a pod does not meet a standard: a reason, and what in the pod is the matter. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

/** One requirement of the Pod Security Standards. */
export interface Check {
  readonly id: string;
  /** First minor version of the standard that has it; absent: all have. */
  readonly since?: number;
  /** Ids of baseline checks that this one contains. */
  readonly overrides?: readonly string[];
  /** @param minor minor version of the standard, Infinity for the latest */
  violation(pod: PodLike, minor: number): Violation | undefined;
}

/** Init, ordinary and ephemeral containers. */
export function containersOf(spec: V1PodSpec): V1Container[] {
  return [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as V1Container[]),
  ];
}

/** `one` for one, else `many`. */
export function plural(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

/** `"a", "b"`. */
export function quoted(texts: readonly string[]): string {
  return texts.map((text) => JSON.stringify(text)).join(", ");
}

/** Each value once, in order. */
export function sortedSet(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}

/** `container "a"`, `containers "a", "b"`. */
export function containersText(names: readonly string[]): string {
  return `${plural(names.length, "container", "containers")} ${quoted(names)}`;
}

/** Who sets something: `pod`, containers, or both; undefined when nobody does. */
export function settersText(pod: boolean, containers: readonly string[]): string | undefined {
  const setters = [...(pod ? ["pod"] : []), ...(containers.length > 0 ? [containersText(containers)] : [])];
  return setters.length > 0 ? setters.join(" and ") : undefined;
}

/** Names of the containers that something is true of. */
export function namesWhere(spec: V1PodSpec, is: (container: V1Container) => boolean): string[] {
  return containersOf(spec)
    .filter(is)
    .map(({ name }) => name);
}

/** Whether a pod has a user namespace of its own, where being root means less: some checks let it pass since 1.35. */
export function ownUsers(spec: V1PodSpec, minor: number): boolean {
  return minor >= 35 && spec.hostUsers === false;
}

/** Whether a pod is for Windows, where some fields cannot be set: restricted checks let it pass since 1.25. */
export function forWindows(spec: V1PodSpec, minor: number): boolean {
  return minor >= 25 && spec.os?.name === "windows";
}
