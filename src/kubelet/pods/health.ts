import { randomBytes } from "node:crypto";
import type { Container, Pod, Probe } from "#api/index.ts";
import { ProgramError } from "#kernel/process/index.ts";
import { type ProbeKind, type ProbeResult, Prober, type ProbeTarget } from "../probes/index.ts";
import { type ProcessRuntime, type RunningContainer, startFailure } from "../runtime/index.ts";
import { execOutput } from "./hooks.ts";
import type { ContainerIdentity } from "./security.ts";

/** Whom to tell. */
export interface HealthEvents {
  /** `ready` or `started` has changed. */
  readonly onChange: () => void;
  /** A probe has failed, or could not be made: text for an event. */
  readonly onUnhealthy: (message: string) => void;
  /** The container must be restarted because of this kind of probe. */
  readonly onDead: (kind: string) => void;
}

/** A running container as probes and hooks reach it. */
export interface HealthTarget {
  readonly podIP: string;
  readonly container: Container;
  readonly pod: Pod;
  readonly running: RunningContainer;
  readonly runtime: ProcessRuntime;
  /** As whom it runs; absent: root. */
  readonly user?: ContainerIdentity;
  /** The signal that asks it to end; absent: SIGTERM. */
  readonly stopSignal?: number;
}

const SHOWN: Readonly<Record<ProbeKind, string>> = { readiness: "Readiness", liveness: "Liveness", startup: "Startup" };

/** The three probes of a container: the other two begin when startup has succeeded. */
export class ContainerHealth {
  readonly #container: Container;
  readonly #events: HealthEvents;
  #probers: Prober[] = [];
  #ready = false;
  #started = false;

  constructor(container: Container, events: HealthEvents) {
    this.#container = container;
    this.#events = events;
  }

  get ready(): boolean {
    return this.#ready;
  }

  get started(): boolean {
    return this.#started;
  }

  /** A run has begun, or one that was ready already has been taken over. */
  begin(target: HealthTarget, wasReady: boolean): void {
    this.stop();
    const { startupProbe, readinessProbe } = this.#container;
    this.#started = wasReady || !startupProbe;
    this.#ready = wasReady || (this.#started && !readinessProbe);
    const startedMs = performance.now();
    if (startupProbe && !this.#started) this.#probe("startup", startupProbe, target, startedMs);
    else this.#whenStarted(target, startedMs);
  }

  /** The container has written something: it may have got further. */
  hint(): void {
    for (const prober of this.#probers) prober.hint();
  }

  /** The run has ended. */
  stop(): void {
    for (const prober of this.#probers) prober.stop();
    this.#probers = [];
    this.#ready = false;
    this.#started = false;
  }

  #whenStarted(target: HealthTarget, startedMs: number): void {
    const { readinessProbe, livenessProbe } = this.#container;
    if (readinessProbe) this.#probe("readiness", readinessProbe, target, startedMs);
    if (livenessProbe) this.#probe("liveness", livenessProbe, target, startedMs);
  }

  #probe(kind: ProbeKind, probe: Probe, target: HealthTarget, startedMs: number): void {
    // One for all attempts, so that their events are one that is counted.
    const execId = randomBytes(32).toString("hex");
    const reached: ProbeTarget = {
      podIP: target.podIP,
      container: target.container,
      exec: (command, timeoutMs) =>
        execOutput(target, command, timeoutMs).catch((error: unknown) => {
          throw error instanceof ProgramError
            ? new Error(`rpc error: code = Unknown desc = ${startFailure(execId, error.message)}`)
            : error;
        }),
    };
    const onResult = (of: ProbeKind, result: ProbeResult) => this.#take(of, result, target, startedMs);
    const onUnhealthy = (of: ProbeKind, what: string) => this.#events.onUnhealthy(`${SHOWN[of]} ${what}`);
    const prober = new Prober(kind, probe, reached, { onResult, onUnhealthy }, startedMs);
    this.#probers.push(prober);
    prober.start();
  }

  #take(kind: ProbeKind, result: ProbeResult, target: HealthTarget, startedMs: number): void {
    const success = result === "success";
    if (kind === "readiness") {
      if (this.#ready === success) return;
      this.#ready = success;
    } else if (!success) {
      this.#events.onDead(kind);
      return;
    } else if (kind === "startup") {
      this.#started = true;
      this.#ready = !this.#container.readinessProbe;
      for (const prober of this.#probers.splice(0)) prober.stop();
      this.#whenStarted(target, startedMs);
    } else return;
    this.#events.onChange();
  }
}
