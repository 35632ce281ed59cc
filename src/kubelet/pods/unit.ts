import { randomBytes } from "node:crypto";
import type { Container, Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { wholeSeconds } from "#base/time.ts";
import type { ContainerImage } from "../images/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { ContainerView } from "../status/podStatus.ts";
import type { PodDeps } from "./deps.ts";
import { ContainerHealth } from "./health.ts";
import { hookAttempt } from "./hooks.ts";
import { forgetPreviousRun } from "./leftovers.ts";
import { linkLog, unlinkLog } from "./logLinks.ts";
import { type PodSetup, type Prepared, prepareContainer } from "./prepare.ts";
import type { ContainerRecord } from "./record.ts";
import { ContainerReporter } from "./reporter.ts";
import { type ServedRun, servedContainer } from "./serve.ts";
import { terminate } from "./terminate.ts";
import { terminationMessage } from "./terminationMessage.ts";
import { UnitImage } from "./unitImage.ts";
import { containerView, shownId } from "./view.ts";
import { ContainerWaits } from "./waits.ts";

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
  readonly #waits: ContainerWaits;
  readonly #health: ContainerHealth;
  readonly #reporter: ContainerReporter;
  /** Where the container's image comes from. */
  readonly image: UnitImage;
  #record: ContainerRecord | undefined;
  #running: RunningContainer | undefined;
  #starting: Promise<void> | undefined;
  #stopping = false;

  constructor(container: Container, restart: "Always" | "OnFailure" | "Never", deps: PodDeps, owner: UnitPod) {
    this.container = container;
    this.#restart = restart;
    this.#deps = deps;
    this.#owner = owner;
    this.#reporter = new ContainerReporter(container, deps, () => owner.pod);
    this.image = new UnitImage(container, deps, () => owner.pod, this.#reporter);
    this.#waits = new ContainerWaits(
      container,
      () => owner.pod,
      this.#reporter,
      () => owner.changed(),
    );
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

  /** It is not to be started yet. */
  get waits(): boolean {
    return this.done || this.#waits.leftMs > 0;
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
      waiting: this.#waits.waiting,
      ready: this.#health.ready,
      started: this.#health.started,
    });
  }

  /** Takes over what an earlier agent recorded; `wasReady` is what the API was told last. */
  adopt(record: ContainerRecord, pid: number | undefined, wasReady: boolean): void {
    this.#record = record;
    if (record.ended) return;
    const podUid = this.#owner.pod.metadata.uid ?? "";
    const handle = { id: record.id, podUid, pid: pid ?? -1, logPath: record.logPath };
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
    if (this.#waits.leftMs > 0) return this.#waits.wait(this.#record?.ended !== undefined);
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Ends it for good: hook, SIGTERM, SIGKILL after `graceSeconds`. Resolves when its process is gone. */
  async stop(graceSeconds: number): Promise<void> {
    this.#stopping = true;
    this.#waits.stop();
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
    this.#waits.stop();
    this.#health.stop();
  }

  async #start(): Promise<void> {
    const previous = this.#record;
    const count = previous ? previous.restartCount + 1 : 0;
    const id = randomBytes(32).toString("hex");
    let prepared: Prepared;
    let image: ContainerImage;
    try {
      image = await this.image.take();
      this.#waits.imageCame();
      prepared = await prepareContainer(this.#deps, this.#owner.pod, this.container, image, this.#owner.setup, {
        id,
        count,
      });
    } catch (error) {
      this.#waits.failed(error);
      this.#owner.changed();
      return;
    }
    if (this.#stopping) return;
    this.#reporter.announce(image);
    const last = previous?.ended ?? previous?.last;
    const startedAt = wholeSeconds();
    this.#record = {
      id,
      restartCount: count,
      imageId: image.id,
      logPath: prepared.spec.logPath,
      startedAt,
      ...(image.user ? { imageUser: image.user } : {}),
      ...(image.stopSignal === undefined ? {} : { stopSignal: image.stopSignal }),
      ...(last ? { last } : {}),
    };
    this.#owner.save();
    await this.#run(prepared, image, previous?.id);
  }

  async #run({ spec, servedArgs }: Prepared, image: ContainerImage, previousId: string | undefined): Promise<void> {
    const began = performance.now();
    try {
      if (previousId !== undefined) this.#forget(previousId);
      const running = await this.#deps.runtime.start(spec);
      this.#reporter.event("Normal", "Created", `Created container: ${this.container.name}`);
      linkLog(this.#deps.logFolders, this.#owner.pod, this.container.name, spec);
      this.#follow(running);
      if (image.served) await this.#serve(running, { id: spec.id, netns: spec.netns, args: servedArgs });
      this.#waits.started();
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

  async #serve(running: RunningContainer, run: ServedRun): Promise<void> {
    const { pod, setup } = this.#owner;
    const served = servedContainer(pod, this.container, setup, this.#deps.node.name, run);
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
      await this.#deps.servers.remove(running.handle.id).catch((error: unknown) => {
        this.#reporter.say("What served the container was not told of its end", { error });
      });
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
    this.#reporter.say("Container ended", { exitCode: how.exitCode, reason: how.reason });
    const ended = { ...how, startedAt: record.startedAt, finishedAt: wholeSeconds(), containerID: shownId(record.id) };
    this.#record = { ...record, ended };
    this.#owner.save();
    this.#waits.ended(this.#restartsAfter(how.exitCode) && !this.#stopping);
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

  #forget(previousId: string): void {
    forgetPreviousRun(this.#deps, this.#owner.pod, this.container, previousId, this.#record?.restartCount ?? 0);
  }

  #target(running: RunningContainer) {
    return {
      podIP: this.#owner.setup.podIPs[0] ?? this.#deps.node.addresses[0] ?? "127.0.0.1",
      container: this.container,
      pod: this.#owner.pod,
      running,
      runtime: this.#deps.runtime,
      ...(this.#record?.stopSignal === undefined ? {} : { stopSignal: this.#record.stopSignal }),
    };
  }
}
