import type { FieldErrors } from "../errors.ts";
import { nonNegative } from "./checks.ts";
import type { Stored } from "./definition.ts";

/** Numbers in the status of a kind that keeps pods (apps/validation Validate…Status). */
export interface StatusCounts {
  /** None of these may be below zero. */
  readonly counts: readonly string[];
  /** None of these may be more than status.replicas. */
  readonly ofReplicas?: readonly string[];
  /** What upstream calls readyReplicas, of which availableReplicas are a part; none where it does not compare them. */
  readonly ready?: string;
}

/** Those of a ReplicaSet and a ReplicationController. */
export const replicatorCounts: StatusCounts = {
  counts: [
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
  ],
  ofReplicas: ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
  ready: "readyReplicas",
};

type Status = Readonly<Record<string, unknown>>;

/** Checks of a status that is written, for {@link Kind}'s validateStatus. */
export function statusCounts(rules: StatusCounts) {
  return (
    { status = {} }: Stored<{ status?: object }>,
    old: Stored<{ status?: object }>,
    errors: FieldErrors,
  ): void => {
    const [now, before] = [status as Status, (old.status ?? {}) as Status];
    for (const name of rules.counts) nonNegative(number(now, name), `status.${name}`, errors);
    for (const name of rules.ofReplicas ?? [])
      atMost(now, name, "replicas", "cannot be greater than status.replicas", errors);
    if (rules.ready) atMost(now, "availableReplicas", "readyReplicas", `cannot be greater than ${rules.ready}`, errors);
    const [collisions, known] = [number(now, "collisionCount"), number(before, "collisionCount")];
    if (known !== undefined && (collisions === undefined || collisions < known))
      errors.invalid("status.collisionCount", collisions ?? null, "cannot be decremented");
  };
}

function atMost(status: Status, name: string, most: string, text: string, errors: FieldErrors): void {
  const value = number(status, name) ?? 0;
  if (value > (number(status, most) ?? 0)) errors.invalid(`status.${name}`, value, text);
}

function number(status: Status, name: string): number | undefined {
  const value = status[name];
  return typeof value === "number" ? value : undefined;
}
