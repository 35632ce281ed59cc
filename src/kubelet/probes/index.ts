/** Readiness, liveness and startup probes. */
export { type Attempt, attempt, type ProbeTarget } from "./attempt.ts";
export { type ProbeKind, Prober, type ProberEvents } from "./prober.ts";
export { type ProbeResult, ProbeSchedule } from "./schedule.ts";
