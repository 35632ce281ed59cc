import pc from "picocolors";
import type { MachineFacts } from "./facts.ts";
import { type Finding, judge, type Verdict, worst } from "./judge.ts";
import { probeMachine } from "./probe.ts";

/** What `podwire doctor --json` prints. */
export interface DoctorReport {
  /** The worst finding's. */
  readonly verdict: Verdict;
  readonly machine: Pick<MachineFacts, "kernel" | "architecture" | "distribution" | "node" | "user">;
  readonly findings: readonly Finding[];
}

/** Puts the facts and their judgement together. */
export function makeReport(facts: MachineFacts): DoctorReport {
  const findings = judge(facts);
  const { kernel, architecture, distribution, node, user } = facts;
  return { verdict: worst(findings), machine: { kernel, architecture, distribution, node, user }, findings };
}

/**
 * Looks at the machine and judges it.
 * @param options `tools`: folder of the machines' tools; by default what the launcher says in PODWIRE_TOOLS
 */
export async function runDoctor(options: { readonly tools?: string } = {}): Promise<DoctorReport> {
  return makeReport(await probeMachine(options.tools ?? process.env["PODWIRE_TOOLS"] ?? ""));
}

const marks: Readonly<Record<Verdict, string>> = { ok: "ok  ", warn: "warn", fail: "FAIL" };

function mark(verdict: Verdict, colour: boolean): string {
  const colours = pc.createColors(colour);
  const paint = { ok: colours.green, warn: colours.yellow, fail: colours.red }[verdict];
  return paint(marks[verdict]);
}

/** The report as text: a line per finding, with what it costs and what mends it below. Ends with a newline. */
export function formatDoctor(report: DoctorReport, options: { readonly colour?: boolean } = {}): string {
  const { distribution, kernel, architecture, user } = report.machine;
  const lines = [`${distribution}, Linux ${kernel}, ${architecture}, user ${user}`];
  for (const { verdict, id, says, costs, mend } of report.findings) {
    lines.push(`${mark(verdict, options.colour ?? false)}  ${id.padEnd(16)} ${says}`);
    if (costs !== undefined) lines.push(`${" ".repeat(23)}costs: ${costs}`);
    if (mend !== undefined) lines.push(`${" ".repeat(23)}mend:  ${mend}`);
  }
  const closing = {
    ok: "All is as it should be.",
    warn: "Clusters run here; what is marked is missing.",
    fail: "No cluster runs here before what is marked FAIL is mended.",
  }[report.verdict];
  return `${[...lines, closing].join("\n")}\n`;
}

/** The lines to show before a start: what stops it, and nothing when nothing does. */
export function obstacles(report: DoctorReport): string[] {
  return report.findings
    .filter((finding) => finding.verdict === "fail")
    .map(({ says, mend }) => (mend === undefined ? says : `${says}; mend it by: ${mend}`));
}
