import { randomBytes } from "node:crypto";
import type { Container } from "#api/index.ts";
import type { ContainerImage } from "../images/index.ts";
import { ContainerStartError, type RunningContainer } from "../runtime/index.ts";
import type { ContainerView } from "../status/containerStatus.ts";
import type { PodDeps } from "./deps.ts";
import { ContainerHealth } from "./health.ts";
import { ContainerHistory, type RestartPolicy, type RunEnd } from "./history.ts";
import { postStart } from "./hooks.ts";
import { forgetPreviousRun } from "./leftovers.ts";
import { adoptRun } from "./light.ts";
import { linkLog, unlinkLog } from "./logLinks.ts";
import type { UnitPod } from "./owner.ts";
import { newRun, type Prepared, prepareContainer } from "./prepare.ts";
import type { ContainerRecord } from "./record.ts";
import { ContainerReporter } from "./reporter.ts";
import { failedStart, LOST, NEVER, runEnd } from "./runEnd.ts";
import { serveContainer } from "./serve.ts";
import { healthTarget } from "./target.ts";
import { graceSecondsOf, stopSignal, terminate } from "./terminate.ts";
import { terminationMessage } from "./terminationMessage.ts";
import { UnitImage } from "./unitImage.ts";
import { containerView } from "./view.ts";
import { ContainerWaits } from "./waits.ts";

const SIGKILL = 9;

/** One container of a pod over all its runs. */
export class ContainerUnit {
  #container: Container;
  readonly #deps: PodDeps;
  readonly #owner: UnitPod;
  readonly #waits: ContainerWaits;
  readonly #health: ContainerHealth;
  readonly #reporter: ContainerReporter;
  readonly #history: ContainerHistory;
  /** Where its image comes from. */
  readonly image: UnitImage;
  #running: RunningContainer | undefined;
  /** Resolves when the end of the present run is recorded. */
  #end: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  /** Why the present run is being ended: its process was there, and what belongs to its start has failed. */
  #failure: RunEnd | undefined;
  #stopping = false;
  /** Its postStart hook has not ended yet: until then it counts as being created. */
  #isHooked = false;
  /** It is being ended in order to run with another image, whatever its restart policy. */
  #isReplaced = false;

  constructor(container: Container, restart: RestartPolicy, deps: PodDeps, owner: UnitPod) {
    this.#container = container;
    this.#deps = deps;
    this.#owner = owner;
    this.#history = new ContainerHistory(restart, container.restartPolicyRules, owner);
    const own = () => this.#container;
    const pod = () => owner.pod;
    this.#reporter = new ContainerReporter(container.name, deps, pod);
    this.image = new UnitImage(own, deps, pod, this.#reporter);
    this.#waits = new ContainerWaits(own, pod, this.#reporter, () => owner.changed());
    this.#health = new ContainerHealth(container, {
      onChange: () => {
        this.#reporter.say(this.#health.ready ? "Container is ready" : "Container is not ready");
        owner.changed();
      },
      onUnhealthy: (message) => this.#reporter.event("Warning", "Unhealthy", message),
      onDead: (kind) => void this.#killUnhealthy(kind),
    });
  }

  /** As the pod describes it now. */
  get container(): Container {
    return this.#container;
  }

  get record(): ContainerRecord | undefined {
    return this.#history.record;
  }

  get running(): RunningContainer | undefined {
    return this.#running;
  }

  /** It is not to be started now. */
  get waits(): boolean {
    return this.done || this.#waits.leftMs > 0;
  }

  /** Ended and not to be started again. */
  get done(): boolean {
    return this.#history.isOver && !this.#running && !this.#isReplaced;
  }

  /** The way it looks from outside. */
  view(): ContainerView | undefined {
    return containerView({
      record: this.record,
      isRunning: this.#running !== undefined && !this.#isHooked,
      waiting: this.#waits.waiting,
      ready: this.#health.ready,
      started: this.#health.started,
      stopSignal: stopSignal(this.#container, this.record?.stopSignal),
    });
  }

  /** The pod describes the container anew. Of its fields only the image can change. */
  update(container: Container): void {
    if (container.image !== this.#container.image) {
      this.#waits.forget();
      this.image.forget();
    }
    this.#container = container;
  }

  /** Takes over what an earlier agent recorded. */
  adopt(record: ContainerRecord, pid: number | undefined): void {
    this.#history.adopt(record);
    if (record.ended) return;
    const running = adoptRun(this.#deps, record, pid, this.#owner.pod.metadata.uid ?? "");
    if (!running) return this.#ended(LOST);
    this.#owner.setup.namespaces.add(running);
    this.#follow(running);
    if (record.served) void this.#deps.servers.add(record.served).catch(() => running.kill(SIGKILL));
  }

  /** Probes it, if it was taken over and runs. @param wasReady what the API was told last */
  resume(wasReady: boolean): void {
    if (this.#running) this.#health.begin(this.#target(this.#running), wasReady);
  }

  /** Starts the container if it is time to; resolves when that is done or has failed. */
  async ensure(): Promise<void> {
    if (this.#running && !this.#stopping) return this.#replaceIfChanged(this.#running);
    if (this.#starting || this.#stopping || this.done) return this.#starting;
    if (this.#waits.leftMs > 0) return this.#waits.wait(this.record?.ended !== undefined);
    this.#starting = this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Ends a run of an image that the pod does not name any more; its end makes the next one due. */
  #replaceIfChanged(running: RunningContainer): void {
    if (this.#isReplaced || (this.record?.image ?? this.#container.image) === this.#container.image) return;
    this.#isReplaced = true;
    this.#reporter.event(
      "Normal",
      "Killing",
      `Container ${this.#container.name} definition changed, will be restarted`,
    );
    void this.#terminate(running);
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
    if (this.record) unlinkLog(this.#deps.logFolders, this.#owner.pod, this.container.name, this.record.id);
  }

  /** Lets go of everything without ending the container: the agent stops. */
  detach(): void {
    this.#stopping = true;
    this.image.giveUp();
    this.#waits.stop();
    this.#health.stop();
  }

  async #start(): Promise<void> {
    const previousId = this.record?.id;
    const count = this.#history.nextCount;
    const id = randomBytes(32).toString("hex");
    let prepared: Prepared;
    let image: ContainerImage;
    let target: RunningContainer | undefined;
    try {
      image = await this.image.take();
      this.#waits.imageCame();
      // Before what can still be wrong, as upstream.
      if (!this.#stopping) this.#reporter.announce(image);
      const { pod, setup } = this.#owner;
      target = setup.namespaces.targetOf(this.container);
      prepared = await prepareContainer(this.#deps, pod, this.container, image, setup, { id, count });
      if (this.#stopping) return;
      this.#history.begin(newRun(this.container, image, prepared));
    } catch (error) {
      // The pod has ended meanwhile; nothing is tried again, and nobody asks why.
      if (this.image.isGivenUp) return;
      this.#waits.failed(error);
      this.#owner.changed();
      return;
    }
    await this.#run(prepared, image, target, previousId);
  }

  async #run(
    { spec, servedArgs, start }: Prepared,
    image: ContainerImage,
    target: RunningContainer | undefined,
    previousId: string | undefined,
  ): Promise<void> {
    const began = performance.now();
    try {
      if (previousId !== undefined)
        forgetPreviousRun(this.#deps, this.#owner.pod, this.container, previousId, this.record?.restartCount ?? 0);
      this.#reporter.event("Normal", "Created", "Container created");
      const running = await start(target);
      this.#isReplaced = false;
      this.#isHooked = this.container.lifecycle?.postStart !== undefined;
      this.#follow(running);
      linkLog(this.#deps.logFolders, this.#owner.pod, this.container.name, spec);
      if (image.served) {
        const { pod, setup } = this.#owner;
        const run = { id: spec.id, netns: spec.netns, args: servedArgs };
        const keep = this.#history.serves.bind(this.#history);
        await serveContainer(this.#deps, { pod, container: this.container, setup, running, run, keep });
      }
      this.#waits.started();
      this.#reporter.event("Normal", "Started", "Container started");
      this.#reporter.say("Started container", { ms: Math.round(performance.now() - began) });
      void this.#begin(running);
    } catch (error) {
      const { message } = new ContainerStartError(error);
      this.#reporter.event("Warning", "Failed", `Error: ${message}`);
      await this.#endFailed(failedStart(message));
      this.#waits.show("RunContainerError", message);
    }
    this.#owner.changed();
  }

  async #endFailed(how: RunEnd): Promise<void> {
    if (!this.#running) return this.#ended(how, NEVER);
    this.#failure = how;
    this.#running.kill(SIGKILL);
    await this.#end;
  }

  #follow(running: RunningContainer): void {
    this.#running = running;
    this.#failure = undefined;
    running.outputs.onOutput(() => this.#health.hint());
    this.#end = running.exit.then(async (exit) => {
      this.#health.stop();
      await this.#deps.servers.remove(running.handle.id).catch((error: unknown) => {
        this.#reporter.say("What served the container was not told of its end", { error });
      });
      const { record } = this;
      const message =
        record && (await terminationMessage(this.#deps, this.#owner.pod, this.container, record, exit.exitCode));
      // Only now, so that nobody finds a container that has neither a process nor an end.
      this.#running = undefined;
      this.#isHooked = false;
      this.#ended(this.#failure ?? runEnd(exit, message));
      this.#owner.changed();
    });
  }

  #ended(how: RunEnd, startedAt?: string): void {
    this.#reporter.say("Container ended", { exitCode: how.exitCode, reason: how.reason });
    this.#history.end(how, startedAt);
    if (this.#isReplaced) this.#waits.forget();
    else this.#waits.ended(this.#history.restartsAfter(how.exitCode) && !this.#stopping);
  }

  async #killUnhealthy(kind: string): Promise<void> {
    const running = this.#running;
    if (!running || this.#stopping) return;
    const { name, startupProbe, livenessProbe } = this.container;
    this.#reporter.event("Normal", "Killing", `Container ${name} failed ${kind} probe, will be restarted`);
    const probe = kind === "startup" ? startupProbe : livenessProbe;
    await this.#terminate(running, probe?.terminationGracePeriodSeconds);
  }

  /** Resolves when the end is recorded. @param graceSeconds default: the pod's */
  async #terminate(running: RunningContainer, graceSeconds?: number): Promise<void> {
    const grace = graceSeconds ?? graceSecondsOf(this.#owner.pod);
    await terminate(this.#target(running), this.#deps.servers, grace, this.#reporter);
    await this.#end;
  }

  /** Runs the postStart hook; probes begin when it has succeeded. */
  async #begin(running: RunningContainer): Promise<void> {
    const target = this.#target(running);
    const failure = this.#isHooked ? await postStart(target, this.#reporter) : undefined;
    if (this.#running !== running) return;
    this.#isHooked = false;
    if (failure === undefined) {
      if (!this.#stopping) this.#health.begin(target, false);
    } else {
      await this.#terminate(running);
      if (!this.#stopping) this.#waits.show("PostStartHookError", failure);
    }
    this.#owner.changed();
  }

  #target(running: RunningContainer) {
    return healthTarget(this.#deps, this.#owner, this.container, running, this.record);
  }
}
