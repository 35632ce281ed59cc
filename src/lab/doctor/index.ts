export type { MachineFacts, Trial } from "./facts.ts";
export { type Finding, judge, type Verdict, worst } from "./judge.ts";
export { probeMachine, wantedPrograms } from "./probe.ts";
export { type DoctorReport, formatDoctor, makeReport, obstacles, runDoctor } from "./report.ts";
