import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Container, Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { Backoff, goDuration, imageBackoff, restartBackoff, setupBackoff } from "../backoff.ts";
import { type ContainerImage, ImageError } from "../images/index.ts";
import { containerLogPath } from "../logs/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import { ContainerConfigError } from "../spec/env.ts";
import type { ContainerView } from "../status/podStatus.ts";
import { VolumeError } from "../volumes/index.ts";
import type { PodDeps } from "./deps.ts";
import { ContainerHealth } from "./health.ts";
import { hookAttempt } from "./hooks.ts";
import { linkLog, unlinkLog } from "./logLinks.ts";
import { containerImage, type PodSetup, type Prepared, prepareContainer } from "./prepare.ts";
import type { ContainerRecord } from "./record.ts";
import { ContainerReporter } from "./reporter.ts";
import { terminate } from "./terminate.ts";
import { removeMessageFile, terminationMessage } from "./terminationMessage.ts";
import { containerView, shownId } from "./view.ts";

const SIGKILL = 9;
const DEFAULT_GRACE_SECONDS = 30;

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

/** One container of a pod over all its runs. */
export class ContainerUnit {
  readonly container: Container;
  /** Whether and when an ended container runs again. */
  readonly #restart: "Always" | "OnFailure" | "Never";
  readonly #deps: PodDeps;
  readonly #owner: UnitPod;
  readonly #restarts = new Backoff(restartBackoff);
  readonly #pulls = new Backoff(imageBackoff);
  readonly #retries = new Backoff(setupBackoff);
  readonly #health: ContainerHealth;
  readonly #reporter: ContainerReporter;
  #record: ContainerRecord | undefined;
  #running: RunningContainer | undefined;
  #waiting: { reason: string; message?: string } | undefined;
  /** No start before this, on the clock of performance.now(). */
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #starting: Promise<void> | undefined;
  #stopping = false;

  constructor(container: Container, restart: "Always" | "OnFailure" | "Never", deps: PodDeps, owner: UnitPod) {
    this.container = container;
    this.#restart = restart;
    this.#deps = deps;
    this.#owner = owner;
    this.#reporter = new ContainerReporter(container, deps, () => owner.pod);
    this.#health = new ContainerHealth(container, {
      onChange: () => {
        this.#reporter.say(this.#health.ready ? "Container is ready" : "Container is not ready");
        owner.changed();
      },
      onUnhealthy: (kind, message) => this.#reporter.event("Warning", "Unhealthy", `${kind} probe failed: ${message}`),
      onDead: (kind) => void this.#killUnhealthy(kind),
    });
  }

  get record(): ContainerRecord | undefined {
    return this.#record;
  }

  get running(): RunningContainer | undefined {
    return this.#running;
  }

  /** Ended and not to be started again. */
  get done(): boolean {
    return this.#record?.ended !== undefined && !this.#running && !this.#restartsAfter(this.#record.ended.exitCode);
  }

  /** The way it looks from outside. */
  view(): ContainerView | undefined {
    return containerView({
      record: this.#record,
      isRunning: this.#running !== undefined,
      waiting: this.#waiting,
      ready: this.#health.ready,
      started: this.#health.started,
    });
  }

  /** Takes over what an earlier agent recorded; `wasReady` is what the API was told last. */
  adopt(record: ContainerRecord, pid: number | undefined, wasReady: boolean): void {
    this.#record = record;
    if (record.ended) return;
    const handle = {
      id: record.id,
      podUid: this.#owner.pod.metadata.uid ?? "",
      pid: pid ?? -1,
      logPath: record.logPath,
    };
    const running = pid === undefined ? undefined : this.#deps.runtime.adopt(handle);
    if (running) {
      this.#follow(running);
      if (record.served) void this.#deps.servers.add(record.served).catch(() => running.kill(SIGKILL));
      this.#health.begin(this.#target(running), wasReady);
    } else
      this.#ended({
        exitCode: 137,
        reason: "ContainerStatusUnknown",
        message: "The container ended while no node agent ran",
      });
  }

  /** Starts the container if it is time to; resolves when that is done or has failed. */
  async ensure(): Promise<void> {
    if (this.#running || this.#starting || this.#stopping || this.done) return this.#starting;
    const wait = this.#notBefore - performance.now();
    if (wait > 0) return this.#later(wait);
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Ends it for good: hook, SIGTERM, SIGKILL after `graceSeconds`. Resolves when its process is gone. */
  async stop(graceSeconds: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    await this.#starting;
    this.#health.stop();
    const running = this.#running;
    if (!running) return;
    this.#reporter.event("Normal", "Killing", `Stopping container ${this.container.name}`);
    await this.#terminate(running, graceSeconds);
  }

  /** Removes the link to its log. */
  unlink(): void {
    if (this.#record) unlinkLog(this.#deps.logFolders, this.#owner.pod, this.container.name, this.#record.id);
  }

  /** Lets go of everything without ending the container: the agent stops. */
  detach(): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#health.stop();
  }

  async #start(): Promise<void> {
    const previous = this.#record;
    const count = previous ? previous.restartCount + 1 : 0;
    const id = randomBytes(32).toString("hex");
    let prepared: Prepared;
    let image: ContainerImage;
    try {
      image = await containerImage(this.#deps, this.container);
      this.#pulls.reset();
      prepared = await prepareContainer(this.#deps, this.#owner.pod, this.container, image, this.#owner.setup, {
        id,
        count,
      });
    } catch (error) {
      this.#cannotPrepare(error);
      return;
    }
    if (this.#stopping) return;
    this.#reporter.announce(image);
    const last = previous?.ended ?? previous?.last;
    const startedAt = seconds(new Date());
    this.#record = {
      id,
      restartCount: count,
      imageId: image.id,
      logPath: prepared.spec.logPath,
      startedAt,
      ...(last ? { last } : {}),
    };
    this.#owner.save();
    await this.#run(prepared, image, previous?.id);
  }

  async #run({ spec, servedArgs }: Prepared, image: ContainerImage, previousId: string | undefined): Promise<void> {
    const began = performance.now();
    try {
      this.#forget(previousId);
      const running = await this.#deps.runtime.start(spec);
      this.#reporter.event("Normal", "Created", `Created container: ${this.container.name}`);
      linkLog(this.#deps.logFolders, this.#owner.pod, this.container.name, spec);
      this.#follow(running);
      if (image.served) await this.#serve(running, spec.netns, servedArgs);
      this.#waiting = undefined;
      this.#retries.reset();
      this.#reporter.event("Normal", "Started", `Started container ${this.container.name}`);
      this.#reporter.say("Started container", { ms: Math.round(performance.now() - began) });
      this.#health.begin(this.#target(running), false);
      void this.#postStart(running);
    } catch (error) {
      const message = errorMessage(error);
      this.#reporter.event("Warning", "Failed", `Error: ${message}`);
      this.#ended({ exitCode: 128, reason: "StartError", message });
    }
    this.#owner.changed();
  }

  async #serve(running: RunningContainer, netns: string | undefined, args: readonly string[]): Promise<void> {
    const { pod, setup } = this.#owner;
    const ports = (this.container.ports ?? [])
      .filter((p) => (p.protocol ?? "TCP") === "TCP")
      .map((p) => p.containerPort);
    const served = {
      id: running.handle.id,
      ...(netns === undefined ? {} : { netns }),
      args,
      ports,
      pod: pod.metadata.name,
      namespace: pod.metadata.namespace ?? "",
      node: this.#deps.node.name,
      addresses: setup.podIPs,
    };
    if (this.#record) this.#record = { ...this.#record, served };
    this.#owner.save();
    try {
      await this.#deps.servers.add(served);
    } catch (error) {
      // As a server that cannot listen: it says so in its log, and ends.
      running.log.write("stderr", Buffer.from(`${errorMessage(error)}\n`));
      running.kill(SIGKILL);
    }
  }

  #follow(running: RunningContainer): void {
    this.#running = running;
    running.outputs.onOutput(() => this.#health.hint());
    void running.exit.then(async ({ exitCode, signal, unknown }) => {
      if (this.#running !== running) return;
      this.#running = undefined;
      this.#health.stop();
      await this.#deps.servers.remove(running.handle.id).catch(() => {});
      const reason = unknown ? "ContainerStatusUnknown" : exitCode === 0 ? "Completed" : "Error";
      const message = await this.#lastWords(exitCode);
      const more = { ...(message === undefined ? {} : { message }), ...(signal === undefined ? {} : { signal }) };
      this.#ended({ exitCode, reason, ...more });
      this.#owner.changed();
    });
  }

  #lastWords(exitCode: number): Promise<string | undefined> {
    const record = this.#record;
    if (!record) return Promise.resolve(undefined);
    return terminationMessage(this.#deps, this.#owner.pod, this.container, record, exitCode);
  }

  #ended(how: { exitCode: number; reason: string; message?: string; signal?: number }): void {
    const record = this.#record;
    if (!record) return;
    this.#waiting = undefined;
    this.#reporter.say("Container ended", { exitCode: how.exitCode, reason: how.reason });
    const ended = {
      ...how,
      startedAt: record.startedAt,
      finishedAt: seconds(new Date()),
      containerID: shownId(record.id),
    };
    this.#record = { ...record, ended };
    this.#owner.save();
    if (!this.#restartsAfter(how.exitCode) || this.#stopping) return;
    this.#notBefore = performance.now() + this.#restarts.failed(performance.now());
  }

  /** Waits for a restart, and shows it. */
  #later(waitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#owner.changed(), waitMs);
    if (!this.#record?.ended || this.#waiting) return;
    const { name, namespace, uid } = this.#owner.pod.metadata;
    const message = `back-off ${goDuration(waitMs)} restarting failed container=${this.container.name} pod=${name}_${namespace}(${uid})`;
    this.#waiting = { reason: "CrashLoopBackOff", message };
    this.#reporter.event(
      "Warning",
      "BackOff",
      `Back-off restarting failed container ${this.container.name} in pod ${name}_${namespace}(${uid})`,
    );
  }

  #cannotPrepare(error: unknown): void {
    const message = errorMessage(error);
    const now = performance.now();
    if (error instanceof ImageError) {
      const again = this.#waiting?.reason === error.reason || this.#waiting?.reason === "ImagePullBackOff";
      this.#notBefore = now + this.#pulls.failed(now);
      this.#waiting = { reason: again && error.reason === "ErrImagePull" ? "ImagePullBackOff" : error.reason, message };
      this.#reporter.event("Warning", "Failed", `Failed to pull image "${this.container.image}": ${message}`);
      this.#reporter.event("Warning", "Failed", `Error: ${error.reason}`);
      this.#reporter.event("Normal", "BackOff", `Back-off pulling image "${this.container.image}"`);
    } else {
      this.#notBefore = now + this.#retries.failed(now);
      const known = error instanceof ContainerConfigError || error instanceof VolumeError;
      this.#waiting = { reason: known ? "CreateContainerConfigError" : "CreateContainerError", message };
      this.#reporter.event("Warning", "Failed", `Error: ${message}`);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#owner.changed(), this.#notBefore - now);
    this.#owner.changed();
  }

  #restartsAfter(exitCode: number): boolean {
    return this.#restart === "Always" || (this.#restart === "OnFailure" && exitCode !== 0);
  }

  async #killUnhealthy(kind: string): Promise<void> {
    const running = this.#running;
    if (!running || this.#stopping) return;
    this.#reporter.event(
      "Normal",
      "Killing",
      `Container ${this.container.name} failed ${kind} probe, will be restarted`,
    );
    const probe = kind === "startup" ? this.container.startupProbe : this.container.livenessProbe;
    const own = probe?.terminationGracePeriodSeconds ?? this.#owner.pod.spec.terminationGracePeriodSeconds;
    await this.#terminate(running, own ?? DEFAULT_GRACE_SECONDS);
  }

  #terminate(running: RunningContainer, graceSeconds: number): Promise<void> {
    return terminate(this.#target(running), this.#deps.servers, graceSeconds);
  }

  async #postStart(running: RunningContainer): Promise<void> {
    const hook = this.container.lifecycle?.postStart;
    if (!hook) return;
    const result = await hookAttempt(hook, this.#target(running), 60_000);
    if (result.success || this.#running !== running) return;
    this.#reporter.event("Warning", "FailedPostStartHook", `PostStartHook failed: ${result.message}`);
    await this.#terminate(running, DEFAULT_GRACE_SECONDS);
  }

  /** Deletes what the run before left, but for its log; of logs the last two are kept. */
  #forget(previousId: string | undefined): void {
    if (previousId === undefined) return;
    void this.#deps.runtime.remove(previousId);
    const { logFolders } = this.#deps;
    const { pod } = this.#owner;
    unlinkLog(logFolders, pod, this.container.name, previousId);
    removeMessageFile(this.#deps, pod, this.container, (this.#record?.restartCount ?? 0) - 1);
    const old = (this.#record?.restartCount ?? 0) - 2;
    if (old >= 0) rmSync(containerLogPath(logFolders, pod, this.container.name, old), { force: true });
  }

  #target(running: RunningContainer) {
    return {
      podIP: this.#owner.setup.podIPs[0] ?? this.#deps.node.addresses[0] ?? "127.0.0.1",
      container: this.container,
      pod: this.#owner.pod,
      running,
      runtime: this.#deps.runtime,
    };
  }
}

/** RFC 3339 with whole seconds, as core/v1 has times. */
function seconds(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
