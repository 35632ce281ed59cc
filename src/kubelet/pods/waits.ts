import { Backoff, type Container, type Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { goDuration, imageBackoff, restartBackoff, setupBackoff } from "../backoff.ts";
import { ImageError } from "../images/index.ts";
import { ContainerConfigError } from "../spec/env.ts";
import { VolumeError } from "../volumes/index.ts";
import type { ContainerReporter } from "./reporter.ts";
import type { ContainerFacts } from "./view.ts";

/** Reasons that give way to CrashLoopBackOff: upstream's next look at the pod comes after about a second. */
const SHOWN: ReadonlySet<string> = new Set(["RunContainerError", "PostStartHookError"]);
const SHOWN_MS = 1000;

/** A failed pull is shown as one for so long, before it is shown as a back-off. */
const FAILURE_SHOWN_MS = 2000;

/** Events about images that were not asked for at any registry, by the reason in the status. */
const WITHOUT_PULL: Readonly<Record<string, string>> = {
  ErrImageNeverPull: "ErrImageNeverPull",
  InvalidImageName: "InspectFailed",
};

/** When a container may be started next, and what its status says until then. */
export class ContainerWaits {
  readonly #container: () => Container;
  readonly #pod: () => Pod;
  readonly #reporter: ContainerReporter;
  readonly #onDue: () => void;
  readonly #restarts = new Backoff(restartBackoff);
  readonly #pulls = new Backoff(imageBackoff);
  readonly #retries = new Backoff(setupBackoff);
  #waiting: ContainerFacts["waiting"];
  /** What the waiting is for is shown until then, on the clock of performance.now(). */
  #shownUntil = 0;
  /** The present back-off from its beginning, in ms. */
  #periodMs = 0;
  /** No start before this, on the clock of performance.now(). */
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What is to be said of a failed pull when the back-off is told. */
  #backOffMessage: string | undefined;

  /** @param onDue a start may be tried again */
  constructor(container: () => Container, pod: () => Pod, reporter: ContainerReporter, onDue: () => void) {
    this.#container = container;
    this.#pod = pod;
    this.#reporter = reporter;
    this.#onDue = onDue;
  }

  /** Why the container is not running, when it waits for something. */
  get waiting(): ContainerFacts["waiting"] {
    return this.#waiting;
  }

  /** Time until the next start, in ms; 0 or less when it is due. */
  get leftMs(): number {
    return this.#notBefore - performance.now();
  }

  /** Its image is there. */
  imageCame(): void {
    this.#pulls.reset();
  }

  /** It runs. */
  started(): void {
    this.#waiting = undefined;
    this.#retries.reset();
  }

  /** It is something new: what went wrong before does not count. */
  forget(): void {
    this.#waiting = undefined;
    this.#backOffMessage = undefined;
    this.#restarts.reset();
    this.#pulls.reset();
    this.#retries.reset();
    this.#notBefore = 0;
  }

  /** Shows for a while why a run has not come about; a back-off is shown after that. */
  show(reason: string, message: string): void {
    if (this.leftMs <= 0) return;
    this.#waiting = { reason, message };
    this.#shownUntil = performance.now() + SHOWN_MS;
  }

  /** Its run has ended. @param restarts it is to run again */
  ended(restarts: boolean): void {
    this.#waiting = undefined;
    if (!restarts) return;
    this.#periodMs = this.#restarts.failed(performance.now());
    this.#notBefore = performance.now() + this.#periodMs;
  }

  /** Waits for the next start; after a run that has ended, that is shown as a back-off. */
  wait(hasEnded: boolean): void {
    // A failed pull is still shown.
    if (this.#backOffMessage !== undefined) return;
    const shownMs = this.#shownUntil - performance.now();
    const isShown = SHOWN.has(this.#waiting?.reason ?? "");
    this.#remind(isShown && shownMs > 0 ? Math.min(shownMs, this.leftMs) : this.leftMs);
    if (!hasEnded || (this.#waiting && !(isShown && shownMs <= 0))) return;
    const { name, namespace, uid } = this.#pod().metadata;
    const place = `${name}_${namespace}(${uid})`;
    const message = `back-off ${goDuration(this.#periodMs)} restarting failed container=${this.#container().name} pod=${place}`;
    this.#waiting = { reason: "CrashLoopBackOff", message };
    const told = `Back-off restarting failed container ${this.#container().name} in pod ${place}`;
    this.#reporter.event("Warning", "BackOff", told);
  }

  /** It could not be started: waits, longer each time. */
  failed(error: unknown): void {
    if (error instanceof ImageError) this.#noImage(error);
    else this.#noConfig(error);
    const message = this.#backOffMessage;
    if (message === undefined) return this.#remind(this.leftMs);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#backOff(message), Math.min(FAILURE_SHOWN_MS, this.leftMs / 2));
  }

  /** No more reminders. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** As the kubelet: the failure is told when it comes, the back-off at the next look at the pod. */
  #noImage(error: ImageError): void {
    const { image } = this.#container();
    const now = performance.now();
    this.#notBefore = now + this.#pulls.failed(now);
    this.#waiting = { reason: error.reason, message: error.message };
    const told = WITHOUT_PULL[error.reason];
    if (told) this.#reporter.event("Warning", told, error.message);
    else {
      this.#reporter.event("Warning", "Failed", `Failed to pull image "${image}": ${error.message}`);
      this.#backOffMessage = `Back-off pulling image "${image}": ErrImagePull: ${error.message}`;
    }
    this.#reporter.event("Warning", "Failed", `Error: ${error.reason}`);
  }

  #backOff(message: string): void {
    this.#backOffMessage = undefined;
    this.#waiting = { reason: "ImagePullBackOff", message };
    this.#reporter.event("Normal", "BackOff", `Back-off pulling image "${this.#container().image}"`);
    this.#reporter.event("Warning", "Failed", "Error: ImagePullBackOff");
    this.#remind(this.leftMs);
    this.#onDue();
  }

  #noConfig(error: unknown): void {
    const message = errorMessage(error);
    const now = performance.now();
    this.#notBefore = now + this.#retries.failed(now);
    const known = error instanceof ContainerConfigError || error instanceof VolumeError;
    this.#waiting = { reason: known ? "CreateContainerConfigError" : "CreateContainerError", message };
    this.#reporter.event("Warning", "Failed", `Error: ${message}`);
  }

  #remind(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onDue, waitMs);
  }
}
