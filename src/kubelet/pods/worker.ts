import { rm } from "node:fs/promises";
import { Backoff, type Pod, type PodStatus, referenceTo, resources } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { wholeSeconds } from "#base/time.ts";
import { setupBackoff } from "../backoff.ts";
import { podLogFolder } from "../logs/index.ts";
import type { PodView } from "../status/podStatus.ts";
import { VolumeError } from "../volumes/index.ts";
import { PodContainers } from "./containers.ts";
import { DEADLINE_VERDICT, PodDeadline, verdictOf } from "./deadline.ts";
import type { PodDeps } from "./deps.ts";
import type { FirstReports } from "./firstReports.ts";
import { PodHandler } from "./handler.ts";
import { PodLightness } from "./light.ts";
import { PodNamespaces } from "./namespaces.ts";
import { PodNotices } from "./notices.ts";
import { allDone, Passes } from "./passes.ts";
import type { PodSetup } from "./prepare.ts";
import type { PodRecord } from "./record.ts";
import { PodReport } from "./report.ts";
import { PodSandbox } from "./sandbox.ts";
import { PodStorage } from "./storage.ts";
import { graceSecondsOf } from "./terminate.ts";
import type { ContainerUnit } from "./unit.ts";

/** A pod deleted without a grace period still gets this long (as upstream). */
const FORCED_GRACE_SECONDS = 1;
/** So long containers have that end because a volume is too large (upstream's immediateEvictionGracePeriodSeconds). */
const EVICTION_GRACE_SECONDS = 1;
/** A record that could not be written is tried again so much later. */
const SAVE_AGAIN_MS = 1000;

/** What the workers of a node share beside {@link PodDeps}. */
export interface SharedByWorkers {
  readonly onGone: (worker: PodWorker) => void;
  readonly firstReports: FirstReports;
}

/**
 * One pod on this node: brings what runs in line with what the API says. Changes only mark; one pass at a time does
 * the work, and starts over when something was marked meanwhile.
 */
export class PodWorker {
  readonly #deps: PodDeps;
  readonly #onGone: SharedByWorkers["onGone"];
  readonly #firstReports: FirstReports;
  readonly #passes: Passes;
  readonly #containers: PodContainers;
  readonly #sandbox: PodSandbox;
  readonly #handler: PodHandler;
  readonly #storage: PodStorage;
  readonly #namespaces: PodNamespaces;
  readonly #lightness: PodLightness;
  readonly #reports: PodReport;
  readonly #notices: PodNotices;
  readonly #deadline: PodDeadline;
  readonly #retries = new Backoff(setupBackoff);
  readonly #startTime: string;
  #pod: Pod;
  /** Its end has been asked for; it may take so long, in s. */
  #end: number | undefined;
  #verdict: PodView["verdict"];
  /** The pod is to be ended for what it has done. */
  #eviction: PodView["verdict"];
  /** When its record is written that could not be. */
  #saving: NodeJS.Timeout | undefined;

  /**
   * @param shared what the workers of a node share: `onGone` is called when a pod has ended and everything of it is
   *   removed
   */
  constructor(pod: Pod, deps: PodDeps, shared: SharedByWorkers, record?: PodRecord) {
    this.#pod = pod;
    this.#deps = deps;
    this.#onGone = shared.onGone;
    this.#firstReports = shared.firstReports;
    this.#storage = new PodStorage(deps, pod.metadata.uid ?? "", {
      onStale: () => this.changed(),
      onFull: (message) => {
        this.#eviction = { phase: "Failed", reason: "Evicted", message };
        this.#hurry();
      },
    });
    this.#lightness = new PodLightness(pod, deps);
    this.#reports = new PodReport(deps);
    this.#startTime = record?.startTime ?? pod.status?.startTime ?? wholeSeconds();
    this.#sandbox = new PodSandbox(pod, deps, this, record?.sandbox);
    this.#handler = new PodHandler(deps, record?.runtime);
    const running = (name: string) => this.unit(name)?.running;
    this.#namespaces = new PodNamespaces(pod, deps.runtime, () => this.save(), running, record?.holder);
    this.#containers = new PodContainers(pod, deps, this);
    this.#passes = new Passes(
      () => this.#pass(),
      (error) => {
        deps.log.error("A pass over a pod failed", { pod: this.#name(), error: errorMessage(error) });
        this.#again();
      },
    );
    this.#notices = new PodNotices(deps, pod, record !== undefined);
    this.#deadline = new PodDeadline(this.#passes, this.#startTime, () => this.#hurry());
    this.#verdict = verdictOf(pod);
  }

  get pod(): Pod {
    return this.#pod;
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? "";
  }

  /** What containers are started with. */
  get setup(): PodSetup {
    const sandbox = this.#sandbox.attached;
    const { ips: podIPs } = this.#sandbox;
    const namespaces = this.#namespaces;
    const lightness = this.#lightness;
    const runtime = this.#handler.chosen ?? this.#deps.defaultRuntime;
    return { podIPs, volumes: this.#storage, namespaces, lightness, runtime, ...(sandbox ? { sandbox } : {}) };
  }

  /** The unit of a container by name; the first app container without one. */
  unit(name?: string): ContainerUnit | undefined {
    return this.#containers.find(name);
  }

  /** The status as this node sees it now. */
  get status(): PodStatus {
    return this.#reports.last ?? this.#pod.status ?? {};
  }

  /** The status as it was last reported. */
  get reported(): PodStatus | undefined {
    return this.#reports.last;
  }

  /**
   * Takes over the pod's containers, whose output is followed again. All else waits for {@link resume} or {@link end}.
   * @param pids process ids by container id
   */
  adopt(record: PodRecord, pids: ReadonlyMap<string, number>): void {
    this.#passes.hold();
    if (record.holder !== undefined) this.#namespaces.adoptHolder(pids.get(record.holder));
    this.#containers.adopt(record, pids);
    if (this.#sandbox.forgetLost())
      this.#event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  }

  /** The pod is still wanted: it is looked after again. @param pod its newest state */
  resume(pod: Pod): void {
    this.#verdict = verdictOf(pod);
    this.#containers.resume(pod);
    this.#passes.release();
    this.update(pod);
  }

  /** The API's newest state of the pod. */
  update(pod: Pod): void {
    this.#storage.podChanged(this.#pod, pod);
    this.#pod = pod;
    this.#containers.update(pod);
    if (pod.metadata.deletionTimestamp !== undefined) this.end(graceSecondsOf(pod));
    else this.changed();
  }

  /** Ends the pod. A later call may only shorten the grace period. */
  end(graceSeconds: number): void {
    const grace = Math.max(graceSeconds, FORCED_GRACE_SECONDS);
    if (this.#end !== undefined && this.#end <= grace) return;
    const isShorter = this.#end !== undefined;
    this.#end = grace;
    this.#passes.release();
    // The pass that ends the pod waits for its containers; a shorter period must reach them now.
    if (isShorter) void this.#containers.stop(grace);
    else this.#hurry();
  }

  /** Marks: a pass is due. */
  changed(): void {
    this.#passes.mark();
  }

  /** Lets go of the pod without ending it: the agent stops. */
  async detach(): Promise<void> {
    this.#passes.end();
    this.#storage.release();
    for (const unit of this.#containers.all) unit.detach();
    await this.#passes.over();
  }

  /** Writes the record by which a later agent takes the pod over. */
  save(): void {
    const { record: sandbox } = this.#sandbox;
    const { records: containers } = this.#containers;
    this.#deps.records.save({
      pod: this.#pod,
      startTime: this.#startTime,
      ...(sandbox ? { sandbox } : {}),
      ...(this.#handler.chosen === undefined ? {} : { runtime: this.#handler.chosen }),
      ...(this.#namespaces.holderId === undefined ? {} : { holder: this.#namespaces.holderId }),
      containers,
    });
  }

  /** As save(); what cannot be written is written later. */
  note(): void {
    try {
      this.save();
    } catch (error) {
      this.#deps.log.warn("A pod's record was not written", { pod: this.#name(), error });
      this.#passes.cancel(this.#saving);
      this.#saving = this.#passes.later(SAVE_AGAIN_MS, () => this.note());
    }
  }

  async #pass(): Promise<void> {
    if (this.#end !== undefined) return this.#finish(this.#end);
    if (this.#isOver()) return this.#release();
    if (this.#deadline.isOver(this.#pod)) return this.#fail("Normal", DEADLINE_VERDICT);
    if (this.#eviction) return this.#fail("Warning", this.#eviction, EVICTION_GRACE_SECONDS);
    this.#notices.tellUnsupported(this.#pod);
    const isSetUp = this.#firstReports.begin(this.#passes, () => this.#report());
    try {
      if (await this.#setUp()) await this.#containers.start();
    } finally {
      isSetUp();
    }
    this.#report();
    if (this.#isOver()) await this.#release();
  }

  /** Nothing is started any more: the pass that is under way does not wait for images, and the next one ends the pod. */
  #hurry(): void {
    for (const { image } of this.#containers.all) image.giveUp();
    this.changed();
  }

  /** Ends the pod's containers for good; its object stays and says why. */
  async #fail(type: "Normal" | "Warning", verdict: NonNullable<PodView["verdict"]>, grace?: number): Promise<void> {
    this.#verdict = verdict;
    this.#event(type, verdict.reason, verdict.message);
    await this.#release(grace);
  }

  /** Nothing of the pod is started any more. */
  #isOver(): boolean {
    return this.#verdict !== undefined || this.#containers.isOver;
  }

  async #setUp(): Promise<boolean> {
    try {
      await this.#handler.choose(this.#pod);
      const isLight = await this.#lightness.decide(this.#pod, this.#containers.all);
      if (!isLight) this.#deps.cgroups?.addPod(this.#pod);
      const network = this.#sandbox.setUp(this.#pod);
      // What has no process looks at no files.
      const volumes = isLight ? undefined : this.#storage.setUpBeside(network, this.#pod, () => this.#sandbox.ips);
      this.#containers.warmUp();
      const began = performance.now();
      await allDone([network, volumes]);
      const ms = Math.round(performance.now() - began);
      if (!this.#containers.hasStarted) {
        this.#deps.log.info("Pod is set up", { pod: this.#name(), ip: this.#sandbox.ips[0], ms });
        if (!isLight) this.#notices.tellResolver(this.#pod);
      }
      this.#retries.reset();
      return true;
    } catch (error) {
      const message = errorMessage(error);
      if (error instanceof VolumeError) this.#event("Warning", "FailedMount", message);
      else this.#event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${message}`);
      this.#again();
      return false;
    }
  }

  /** Nothing of it runs any more: the network is given back, logs and status stay. */
  async #release(graceSeconds = graceSecondsOf(this.#pod)): Promise<void> {
    this.#storage.release();
    await this.#containers.stop(graceSeconds);
    await this.#letGo();
  }

  /** What its containers shared; they have ended. */
  async #letGo(): Promise<void> {
    await this.#namespaces.end();
    await this.#deps.cgroups?.removePod(this.#pod);
    await this.#sandbox.tearDown(this.#pod);
    this.#report();
  }

  async #finish(graceSeconds: number): Promise<void> {
    this.#storage.release();
    await this.#containers.stop(graceSeconds);
    await this.#letGo();
    const { runtime, logFolders, records } = this.#deps;
    const ids = Object.values(this.#containers.records).map(({ id }) => id);
    await Promise.all([
      ...ids.map((id) => runtime.remove(id)),
      this.#storage.remove(),
      runtime.removeShared(this.uid),
      rm(podLogFolder(logFolders, this.#pod), { recursive: true, force: true }),
    ]);
    for (const unit of this.#containers.all) unit.unlink();
    records.remove(this.#pod);
    this.#passes.end();
    this.#onGone(this);
  }

  #report(): void {
    this.#reports.send({
      pod: this.#pod,
      units: this.#containers.all,
      podIPs: this.#sandbox.ips,
      sandboxReady: this.#sandbox.ready,
      startTime: this.#startTime,
      verdict: this.#verdict,
    });
  }

  #again(): void {
    this.#passes.later(this.#retries.failed(performance.now()), () => this.changed());
  }

  #name(): string {
    return `${this.#pod.metadata.namespace}/${this.#pod.metadata.name}`;
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#deps.events.event(referenceTo(resources.pods, this.#pod), type, reason, message);
  }
}
