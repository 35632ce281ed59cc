import type { Container, Pod } from "#api/index.ts";
import { readyContainers } from "../status/podStatus.ts";
import type { PodDeps } from "./deps.ts";
import type { RestartPolicy } from "./history.ts";
import type { UnitPod } from "./owner.ts";
import type { ContainerRecord, PodRecord } from "./record.ts";
import { ContainerUnit } from "./unit.ts";

/** Even when the others have taken all of the grace period, sidecars get this long (upstream's least). */
const MIN_GRACE_SECONDS = 2;

function isSidecar({ container }: ContainerUnit): boolean {
  return container.restartPolicy === "Always";
}

/** The containers of a pod: which there are, in which order they start, and when all is done. */
export class PodContainers {
  readonly #deps: PodDeps;
  readonly #owner: UnitPod;
  readonly #inits: readonly ContainerUnit[];
  readonly #apps: readonly ContainerUnit[];
  readonly #ephemerals: ContainerUnit[] = [];

  constructor(pod: Pod, deps: PodDeps, owner: UnitPod) {
    this.#deps = deps;
    this.#owner = owner;
    const policy = pod.spec.restartPolicy ?? "Always";
    const unit = (c: Container, restart: RestartPolicy) => new ContainerUnit(c, restart, deps, owner);
    // An init container has to succeed once; one with restartPolicy Always is a sidecar.
    const initPolicy = (c: Container): RestartPolicy =>
      c.restartPolicy === "Always" ? "Always" : (c.restartPolicy ?? policy) === "Never" ? "Never" : "OnFailure";
    this.#inits = (pod.spec.initContainers ?? []).map((c) => unit(c, initPolicy(c)));
    this.#apps = pod.spec.containers.map((c) => unit(c, (c.restartPolicy as RestartPolicy | undefined) ?? policy));
    this.#addEphemerals(pod);
  }

  /** Takes in containers that were put into the pod since; they run once. */
  #addEphemerals({ spec }: Pod): void {
    const known = new Set(this.#ephemerals.map((unit) => unit.container.name));
    for (const container of spec.ephemeralContainers ?? [])
      if (!known.has(container.name))
        this.#ephemerals.push(new ContainerUnit(container, "Never", this.#deps, this.#owner));
  }

  /** Takes over those that run already. @param pids process ids by container id */
  adopt({ containers }: PodRecord, pids: ReadonlyMap<string, number>): void {
    for (const unit of this.all) {
      const kept = containers[unit.container.name];
      if (kept) unit.adopt(kept, pids.get(kept.id));
    }
  }

  /** Those that were taken over are probed again; what the pod's status says of them counts until then. */
  resume({ status }: Pod): void {
    const ready = readyContainers(status);
    for (const unit of this.all) unit.resume(ready.has(unit.container.name));
  }

  /** The pod describes its containers anew. */
  update(pod: Pod): void {
    const given = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    for (const unit of [...this.#inits, ...this.#apps]) {
      const container = given.find(({ name }) => name === unit.container.name);
      if (container) unit.update(container);
    }
    this.#addEphemerals(pod);
  }

  /** All of them, in the order in which they start. */
  get all(): ContainerUnit[] {
    return [...this.#inits, ...this.#apps, ...this.#ephemerals];
  }

  /** The one with a name; the first app container without one. */
  find(name?: string): ContainerUnit | undefined {
    return name === undefined ? this.#apps[0] : this.all.find((u) => u.container.name === name);
  }

  /** Any was ever started. */
  get hasStarted(): boolean {
    return this.all.some((u) => u.record !== undefined);
  }

  /** All have ended for good, or a required init container has failed for good. */
  get isOver(): boolean {
    const failedInit = this.#inits.some((u) => !isSidecar(u) && u.done && u.record?.ended?.exitCode !== 0);
    return failedInit || (this.#apps.every((u) => u.done) && this.#inits.every((u) => u.done || isSidecar(u)));
  }

  /** Records of all that were started, by name. */
  get records(): Record<string, ContainerRecord> {
    return Object.fromEntries(this.all.flatMap((u) => (u.record ? [[u.container.name, u.record]] : [])));
  }

  /** Gets images before they are needed; failures show when the container is started. */
  warmUp(): void {
    for (const unit of this.#apps) {
      if (unit.running) continue;
      // Before its back-off is over a start would not ask either.
      if (unit.waits) continue;
      unit.image.ask().then(
        (image) => image.served && this.#deps.servers.warm(),
        () => {},
      );
    }
  }

  /** Starts those whose turn it is. */
  async start(): Promise<void> {
    await Promise.all(this.#ephemerals.map((unit) => unit.ensure()));
    if (!(await this.#initialize())) return;
    await Promise.all(this.#apps.map((unit) => unit.ensure()));
  }

  /**
   * Ends all: sidecars when the others have ended, the last first, within what is left of the grace period. Resolves
   * when their processes are gone.
   */
  async stop(graceSeconds: number): Promise<void> {
    const end = performance.now() + graceSeconds * 1000;
    const sidecars = this.#inits.filter(isSidecar);
    await Promise.all(this.all.filter((unit) => !isSidecar(unit)).map((unit) => unit.stop(graceSeconds)));
    for (const sidecar of sidecars.toReversed())
      await sidecar.stop(Math.max(Math.min(graceSeconds, MIN_GRACE_SECONDS), (end - performance.now()) / 1000));
  }

  /** Brings the init containers forward. @returns whether the app containers may run */
  async #initialize(): Promise<boolean> {
    // Once app containers run, a sidecar that has to be restarted holds nobody up.
    if (this.#apps.some((unit) => unit.record !== undefined)) {
      await Promise.all(this.#inits.filter(isSidecar).map((unit) => unit.ensure()));
      return true;
    }
    for (const init of this.#inits) {
      if (init.done && init.record?.ended?.exitCode === 0) continue;
      await init.ensure();
      // The next one begins when this one has ended, or, for a sidecar, has started.
      if (!(isSidecar(init) && init.view()?.started)) return false;
    }
    return true;
  }
}
