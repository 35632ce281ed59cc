import type { Pod } from "#api/index.ts";
import type { PodSetup } from "./prepare.ts";

/** What a container needs of its pod. */
export interface UnitPod {
  /** The newest state of the object. */
  readonly pod: Pod;
  readonly setup: PodSetup;
  /** Writes the pod's record. @throws Error, such as ENOSPC */
  save(): void;
  /**
   * Writes it too, later where there is no room now: for what a later agent finds out by itself or can do again, and
   * what must not fail for it.
   */
  note(): void;
  /** Something of this container has changed: report, and see what is to be done next. */
  changed(): void;
}
