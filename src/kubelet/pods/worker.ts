import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import type { Container, Pod, PodStatus } from "#api/index.ts";
import { referenceTo, resources } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { Backoff, setupBackoff } from "../backoff.ts";
import { podLogFolder } from "../logs/index.ts";
import { unsupportedFields, unsupportedMessage } from "../spec/unsupported.ts";
import type { PodView } from "../status/podStatus.ts";
import { VolumeError } from "../volumes/index.ts";
import { DEADLINE_VERDICT, timeLeft } from "./deadline.ts";
import type { PodDeps } from "./deps.ts";
import { containerImage, type PodSetup } from "./prepare.ts";
import type { ContainerRecord, PodRecord, SandboxRecord } from "./record.ts";
import { PodReport } from "./report.ts";
import { PodStorage } from "./storage.ts";
import { ContainerUnit } from "./unit.ts";

/** A status is reported this long after a pod was first seen, if it is still being set up then. */
const FIRST_REPORT_MS = 100;
/** A pod deleted without a grace period still gets this long (as upstream). */
const FORCED_GRACE_SECONDS = 1;
const DEFAULT_GRACE_SECONDS = 30;
/** Longest wait of a timer in one piece. */
const MAX_WAIT_MS = 24 * 3600 * 1000;

type End = { readonly graceSeconds: number };

/**
 * One pod on this node: brings what runs in line with what the API says. Changes only mark; one pass at a time does
 * the work, and starts over when something was marked meanwhile.
 */
export class PodWorker {
  readonly #deps: PodDeps;
  readonly #onGone: (worker: PodWorker) => void;
  readonly #inits: ContainerUnit[];
  readonly #apps: ContainerUnit[];
  readonly #ephemerals: ContainerUnit[] = [];
  readonly #storage: PodStorage;
  readonly #reports: PodReport;
  readonly #retries = new Backoff(setupBackoff);
  readonly #startTime: string;
  #pod: Pod;
  #sandbox: SandboxRecord | undefined;
  #end: End | undefined;
  #running: Promise<void> | undefined;
  #marked = false;
  #detached = false;
  #timers = new Set<NodeJS.Timeout>();
  /** Fields of the pod's that were said to be without effect. */
  readonly #said = new Set<string>();
  #verdict: PodView["verdict"];
  #deadline: NodeJS.Timeout | undefined;

  /** @param onGone the pod has ended and everything of it is removed */
  constructor(pod: Pod, deps: PodDeps, onGone: (worker: PodWorker) => void, record?: PodRecord) {
    this.#pod = pod;
    this.#deps = deps;
    this.#onGone = onGone;
    this.#storage = new PodStorage(deps, pod.metadata.uid ?? "", () => this.changed());
    this.#reports = new PodReport(deps);
    this.#startTime = record?.startTime ?? pod.status?.startTime ?? new Date().toISOString().replace(/\.\d+Z$/, "Z");
    this.#sandbox = record?.sandbox;
    const policy = pod.spec.restartPolicy ?? "Always";
    const unit = (c: Container, restart: typeof policy) => new ContainerUnit(c, restart, deps, this);
    // An init container has to succeed once; one with restartPolicy Always is a sidecar.
    const initPolicy = (c: Container) =>
      c.restartPolicy === "Always" ? "Always" : policy === "Never" ? "Never" : "OnFailure";
    this.#inits = (pod.spec.initContainers ?? []).map((c) => unit(c, initPolicy(c)));
    this.#apps = pod.spec.containers.map((c) => unit(c, policy));
    this.#addEphemerals(pod);
    if (record) for (const { field } of unsupportedFields(pod.spec)) this.#said.add(field);
    const { phase, reason } = pod.status ?? {};
    if (phase === "Failed" && reason === DEADLINE_VERDICT.reason) this.#verdict = DEADLINE_VERDICT;
  }

  get pod(): Pod {
    return this.#pod;
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? "";
  }

  /** What containers are started with. */
  get setup(): PodSetup {
    const sandbox = this.#sandbox?.ips.length ? this.#sandbox : undefined;
    return { podIPs: this.#podIPs(), volumes: this.#storage, ...(sandbox ? { sandbox } : {}) };
  }

  /** The unit of a container by name; the first app container without one. */
  unit(name?: string): ContainerUnit | undefined {
    return name === undefined ? this.#apps[0] : this.#units().find((u) => u.container.name === name);
  }

  /** The status as this node sees it now. */
  get status(): PodStatus {
    return this.#reports.last ?? this.#pod.status ?? {};
  }

  /** Takes over the pod's containers that run already. @param pids process ids by container id */
  adopt(record: PodRecord, pids: ReadonlyMap<string, number>): void {
    const ready = new Set(this.#pod.status?.containerStatuses?.filter((s) => s.ready).map((s) => s.name));
    for (const unit of this.#units()) {
      const kept = record.containers[unit.container.name];
      if (kept) unit.adopt(kept, pids.get(kept.id), ready.has(unit.container.name));
    }
  }

  /** The API's newest state of the pod. */
  update(pod: Pod): void {
    this.#pod = pod;
    this.#addEphemerals(pod);
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.end(
        pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
      );
    } else this.changed();
  }

  /** Ends the pod. A later call may only shorten the grace period. */
  end(graceSeconds: number): void {
    const grace = Math.max(graceSeconds, FORCED_GRACE_SECONDS);
    if (this.#end && this.#end.graceSeconds <= grace) return;
    const isShorter = this.#end !== undefined;
    this.#end = { graceSeconds: grace };
    // The pass that ends the pod waits for its containers; a shorter period must reach them now.
    if (isShorter) void Promise.all(this.#units().map((u) => u.stop(grace)));
    else this.changed();
  }

  /** Marks: a pass is due. */
  changed(): void {
    this.#marked = true;
    if (this.#detached) return;
    this.#running ??= this.#passes().finally(() => {
      this.#running = undefined;
      if (this.#marked && !this.#detached) this.changed();
    });
  }

  /** Lets go of the pod without ending it: the agent stops. */
  async detach(): Promise<void> {
    this.#detached = true;
    this.#storage.release();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const unit of this.#units()) unit.detach();
    await this.#running;
  }

  /** Writes the record by which a later agent takes the pod over. */
  save(): void {
    const containers: Record<string, ContainerRecord> = {};
    for (const unit of this.#units()) if (unit.record) containers[unit.container.name] = unit.record;
    const sandbox = this.#sandbox ? { sandbox: this.#sandbox } : {};
    this.#deps.records.save({ pod: this.#pod, startTime: this.#startTime, ...sandbox, containers });
  }

  #units(): ContainerUnit[] {
    return [...this.#inits, ...this.#apps, ...this.#ephemerals];
  }

  /** Containers that were put into the pod since; they run once. */
  #addEphemerals(pod: Pod): void {
    const known = new Set(this.#ephemerals.map((unit) => unit.container.name));
    for (const container of pod.spec.ephemeralContainers ?? [])
      if (!known.has(container.name)) this.#ephemerals.push(new ContainerUnit(container, "Never", this.#deps, this));
  }

  async #passes(): Promise<void> {
    // Marks of one turn of the event loop (many objects of one watch message) make one pass.
    await Promise.resolve();
    while (this.#marked && !this.#detached) {
      this.#marked = false;
      try {
        await this.#pass();
      } catch (error) {
        this.#deps.log.error("A pass over a pod failed", { pod: this.#name(), error: errorMessage(error) });
        this.#again(this.#retries.failed(performance.now()));
      }
    }
  }

  async #pass(): Promise<void> {
    if (this.#end) return this.#finish(this.#end);
    if (this.#isOver()) return this.#release();
    if (this.#isTooLate()) return this.#fail(DEADLINE_VERDICT);
    this.#tellUnsupported();
    const late = this.#later(FIRST_REPORT_MS, () => this.#report());
    try {
      if (await this.#setUp()) await this.#startContainers();
    } finally {
      clearTimeout(late);
      this.#timers.delete(late);
    }
    this.#report();
    if (this.#isOver()) await this.#release();
  }

  /** The pod's time is over; when it is not yet, another pass is due then. */
  #isTooLate(): boolean {
    const left = timeLeft(this.#pod, this.#startTime, Date.now());
    if (left === undefined || left <= 0) return left !== undefined;
    clearTimeout(this.#deadline);
    if (this.#deadline) this.#timers.delete(this.#deadline);
    this.#deadline = this.#later(Math.min(left, MAX_WAIT_MS), () => this.changed());
    return false;
  }

  /** Ends the pod's containers for good; its object stays and says why. */
  async #fail(verdict: NonNullable<PodView["verdict"]>): Promise<void> {
    this.#verdict = verdict;
    this.#event("Normal", verdict.reason, verdict.message);
    await this.#release();
  }

  /** Says once which fields of the pod have no effect here. */
  #tellUnsupported(): void {
    const fields = unsupportedFields(this.#pod.spec).filter(({ field }) => !this.#said.has(field));
    for (const { field } of fields) this.#said.add(field);
    const message = unsupportedMessage(fields);
    if (message !== undefined) this.#event("Warning", "UnsupportedFields", message);
  }

  /** All containers have ended for good, or a required init container has failed for good, or the pod's time was over. */
  #isOver(): boolean {
    if (this.#verdict) return true;
    const failedInit = this.#inits.some((u) => u.done && u.record?.ended?.exitCode !== 0);
    return (
      failedInit ||
      (this.#apps.every((u) => u.done) && this.#inits.every((u) => u.done || u.container.restartPolicy === "Always"))
    );
  }

  async #setUp(): Promise<boolean> {
    try {
      const network = this.#setUpNetwork();
      // Volumes do not need the network, unless one of them tells the pod's address.
      const needsAddress = JSON.stringify(this.#pod.spec.volumes ?? []).includes("status.podIP");
      const storeVolumes = () => this.#storage.setUp(this.#pod, this.#podIPs());
      const volumes = needsAddress ? network.then(() => storeVolumes()) : storeVolumes();
      this.#warmUp();
      const began = performance.now();
      await Promise.all([network, volumes]);
      const ms = Math.round(performance.now() - began);
      if (!this.#hasStarted()) this.#deps.log.info("Pod is set up", { pod: this.#name(), ip: this.#podIPs()[0], ms });
      this.#retries.reset();
      return true;
    } catch (error) {
      const message = errorMessage(error);
      if (error instanceof VolumeError) this.#event("Warning", "FailedMount", message);
      else this.#event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${message}`);
      this.#again(this.#retries.failed(performance.now()));
      return false;
    }
  }

  #hasStarted(): boolean {
    return this.#units().some((u) => u.record !== undefined);
  }

  /** Gets images while the network is set up; failures show when the container is started. */
  #warmUp(): void {
    for (const unit of this.#apps) {
      if (unit.running) continue;
      containerImage(this.#deps, unit.container).then(
        (image) => image.served && this.#deps.servers.warm(),
        () => {},
      );
    }
  }

  async #setUpNetwork(): Promise<void> {
    if (this.#pod.spec.hostNetwork || this.#sandbox?.ips.length) return;
    const id = this.#sandbox?.id ?? randomBytes(32).toString("hex");
    const sandbox = this.#sandbox ?? { id, netns: this.#deps.network.pathOf(id), ips: [] };
    this.#sandbox = sandbox;
    this.save();
    const ips = await this.#deps.network.setUp(this.#pod, sandbox);
    this.#sandbox = { ...sandbox, ips };
    this.save();
  }

  async #startContainers(): Promise<void> {
    await Promise.all(this.#ephemerals.map((unit) => unit.ensure()));
    for (const init of this.#inits) {
      if (init.done && init.record?.ended?.exitCode === 0) continue;
      await init.ensure();
      // The next one begins when this one has ended, or, for a sidecar, has started.
      if (!(init.container.restartPolicy === "Always" && init.view()?.started)) return;
    }
    await Promise.all(this.#apps.map((unit) => unit.ensure()));
  }

  #podIPs(): readonly string[] {
    return this.#pod.spec.hostNetwork ? this.#deps.node.addresses : (this.#sandbox?.ips ?? []);
  }

  /** Nothing of it runs any more: the network is given back, logs and status stay. */
  async #release(): Promise<void> {
    this.#storage.release();
    const grace = this.#pod.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
    await Promise.all(this.#units().map((u) => u.stop(grace)));
    await this.#tearDownNetwork();
    this.#report();
  }

  async #tearDownNetwork(): Promise<void> {
    const sandbox = this.#sandbox;
    if (!sandbox?.netns) return;
    await this.#deps.network.tearDown(this.#pod, sandbox);
    // The addresses stay in the status; without a path there is nothing more to remove.
    this.#sandbox = { ...sandbox, netns: "" };
    this.save();
  }

  async #finish({ graceSeconds }: End): Promise<void> {
    this.#storage.release();
    await Promise.all(this.#units().map((u) => u.stop(graceSeconds)));
    await this.#tearDownNetwork();
    this.#report();
    const { runtime, logFolders, records } = this.#deps;
    const ids = this.#units().flatMap((u) => (u.record ? [u.record.id] : []));
    await Promise.all([
      ...ids.map((id) => runtime.remove(id)),
      this.#storage.remove(),
      rm(podLogFolder(logFolders, this.#pod), { recursive: true, force: true }),
    ]);
    for (const unit of this.#units()) unit.unlink();
    for (const timer of this.#timers) clearTimeout(timer);
    records.remove(this.#pod);
    this.#detached = true;
    this.#onGone(this);
  }

  #report(): void {
    this.#reports.send({
      pod: this.#pod,
      units: this.#units(),
      podIPs: this.#podIPs(),
      sandboxReady: this.#pod.spec.hostNetwork === true || (this.#sandbox?.ips.length ?? 0) > 0,
      startTime: this.#startTime,
      verdict: this.#verdict,
    });
  }

  #again(waitMs: number): void {
    this.#later(waitMs, () => this.changed());
  }

  #later(waitMs: number, work: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, waitMs);
    this.#timers.add(timer);
    return timer;
  }

  #name(): string {
    return `${this.#pod.metadata.namespace}/${this.#pod.metadata.name}`;
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#deps.events.event(referenceTo(resources.pods, this.#pod), type, reason, message);
  }
}
