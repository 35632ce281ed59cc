import type { Container, ContainerState } from "#api/index.ts";
import { wholeSeconds } from "#base/time.ts";
import type { ServedContainer } from "./deps.ts";
import type { UnitPod } from "./owner.ts";
import type { ContainerRecord } from "./record.ts";
import { shownId } from "./view.ts";

/** When a container may run again after it has ended. */
export type RestartPolicy = "Always" | "OnFailure" | "Never";

/** What is known of a run before it begins. */
export type NewRun = Pick<ContainerRecord, "id" | "image" | "imageId" | "user" | "stopSignal" | "logPath" | "isLight">;

/** How a run has ended. */
export type RunEnd = Pick<NonNullable<ContainerState["terminated"]>, "exitCode" | "reason" | "message">;

/** The runs of one container as they are kept across restarts of the node agent. */
export class ContainerHistory {
  readonly #restart: RestartPolicy;
  readonly #rules: NonNullable<Container["restartPolicyRules"]>;
  readonly #save: () => void;
  readonly #note: () => void;
  #record: ContainerRecord | undefined;

  /**
   * @param rules come before the policy
   * @param record of the pod: `save` writes it or throws, `note` writes it when it can be
   */
  constructor(restart: RestartPolicy, rules: Container["restartPolicyRules"], record: Pick<UnitPod, "save" | "note">) {
    this.#restart = restart;
    this.#rules = rules ?? [];
    this.#save = () => record.save();
    this.#note = () => record.note();
  }

  /** Of the latest run. */
  get record(): ContainerRecord | undefined {
    return this.#record;
  }

  /** Number of the next run. */
  get nextCount(): number {
    return this.#record ? this.#record.restartCount + 1 : 0;
  }

  /** The latest run has ended, and no other one follows from that. */
  get isOver(): boolean {
    return this.#record?.ended !== undefined && !this.restartsAfter(this.#record.ended.exitCode);
  }

  /** Whether another run follows one that has ended so. */
  restartsAfter(exitCode: number): boolean {
    const ruled = this.#rules.some(({ action, exitCodes }) => {
      const isNamed = exitCodes?.values?.includes(exitCode) ?? false;
      return action === "Restart" && exitCodes !== undefined && isNamed === (exitCodes.operator === "In");
    });
    return ruled || this.#restart === "Always" || (this.#restart === "OnFailure" && exitCode !== 0);
  }

  /** Takes over what an earlier agent has written. */
  adopt(record: ContainerRecord): void {
    this.#record = record;
  }

  /** A run begins. @throws Error when that cannot be recorded; then none does */
  begin(run: NewRun): void {
    const before = this.#record;
    const last = this.#record?.ended ?? this.#record?.last;
    this.#record = {
      ...run,
      restartCount: this.nextCount,
      startedAt: wholeSeconds(),
      ...(last ? { last } : {}),
    };
    try {
      this.#save();
    } catch (error) {
      this.#record = before;
      throw error;
    }
  }

  /** What the serving process is told of the run. */
  serves(served: ServedContainer): void {
    if (this.#record) this.#record = { ...this.#record, served };
    this.#save();
  }

  /** The run has ended. @param startedAt when it began, if not when its record says */
  end(how: RunEnd, startedAt?: string): void {
    const record = this.#record;
    if (!record) return;
    const times = { startedAt: startedAt ?? record.startedAt, finishedAt: wholeSeconds() };
    this.#record = { ...record, ended: { ...how, ...times, containerID: shownId(record.id) } };
    this.#note();
  }
}
