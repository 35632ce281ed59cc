import type { Pod } from "#api/index.ts";
import type { PodSetup } from "./prepare.ts";

/** What a container needs of its pod. */
export interface UnitPod {
  /** The newest state of the object. */
  readonly pod: Pod;
  readonly setup: PodSetup;
  /** Writes the pod's record. */
  save(): void;
  /** Something of this container has changed: report, and see what is to be done next. */
  changed(): void;
}
