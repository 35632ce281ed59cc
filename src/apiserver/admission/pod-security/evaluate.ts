import { baselineChecks } from "./baseline.ts";
import type { Check, PodLike, Violation } from "./check.ts";
import type { Standard } from "./policy.ts";
import { restrictedChecks } from "./restricted.ts";

/** What keeps a pod from meeting a standard, the checks of baseline first. */
export function evaluate(pod: PodLike, { level, version }: Standard): Violation[] {
  if (level === "privileged") return [];
  const minor = version === "latest" ? Number.POSITIVE_INFINITY : version;
  const there = ({ since = 0 }: Check) => minor >= since;
  const restricted = level === "restricted" ? restrictedChecks.filter(there) : [];
  const overridden = new Set(restricted.flatMap(({ overrides = [] }) => overrides));
  const checks = [...baselineChecks.filter((check) => there(check) && !overridden.has(check.id)), ...restricted];
  return checks.flatMap((check) => check.violation(pod, minor) ?? []);
}

/** `privileged (container "c" must not set …), hostPort (…)`. */
export function violationsText(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(", ");
}
