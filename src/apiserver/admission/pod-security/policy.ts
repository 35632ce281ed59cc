import type { FieldErrors } from "../../errors.ts";

/**
 * What a namespace's labels ask of its pods.
 * Source: kubernetes.io/docs/concepts/security/pod-security-admission, k8s.io/pod-security-admission/api.
 */

const levels = ["privileged", "baseline", "restricted"] as const;

/** How strict the standard is, from the laxest. */
export type Level = (typeof levels)[number];

/** A standard as of a minor version; `latest` is later than all. */
export interface Standard {
  readonly level: Level;
  readonly version: number | "latest";
}

/** Standards by what happens to pods that do not meet them; `audit` would be for an audit log. */
export interface Policy {
  readonly enforce: Standard;
  readonly warn: Standard;
}

type Labels = Readonly<Record<string, string>>;

const prefix = "pod-security.kubernetes.io/";

/** `restricted:latest`, `baseline:v1.30`. */
export function standardText({ level, version }: Standard): string {
  return `${level}:${version === "latest" ? version : `v1.${version}`}`;
}

/** Below 0 when `a` is laxer than `b`. */
export function compareLevels(a: Level, b: Level): number {
  return levels.indexOf(a) - levels.indexOf(b);
}

/** Reads a namespace's labels. What is not valid counts as restricted (for warnings: as privileged) and is collected. */
export function policyOf(labels: Labels = {}, errors?: FieldErrors): Policy {
  const enforce: Standard = {
    level: levelOf(labels, "enforce", errors) ?? "restricted",
    version: versionOf(labels, "enforce", errors),
  };
  // Read for their errors alone: there is no audit log.
  levelOf(labels, "audit", errors);
  versionOf(labels, "audit", errors);
  const level = levelOf(labels, "warn", errors) ?? "privileged";
  const version = versionOf(labels, "warn", errors);
  if (labels[`${prefix}warn`] !== undefined || labels[`${prefix}enforce`] === undefined)
    return { enforce, warn: { level, version } };
  // Without a level of their own, warnings are about what is enforced.
  const asEnforced = labels[`${prefix}warn-version`] === undefined ? enforce.version : version;
  return { enforce, warn: { level: enforce.level, version: asEnforced } };
}

/** Undefined for a level that there is not. */
function levelOf(labels: Labels, mode: string, errors: FieldErrors | undefined): Level | undefined {
  const key = `${prefix}${mode}`;
  const given = labels[key];
  if (given === undefined) return "privileged";
  const level = levels.find((one) => one === given);
  if (!level) errors?.invalid(`metadata.labels[${key}]`, given, `must be one of ${levels.join(", ")}`);
  return level;
}

function versionOf(labels: Labels, mode: string, errors: FieldErrors | undefined): Standard["version"] {
  const key = `${prefix}${mode}-version`;
  const given = labels[key];
  if (given === undefined || given === "latest") return "latest";
  const minor = /^v1\.(0|[1-9][0-9]*)$/.exec(given)?.[1];
  if (minor === undefined) errors?.invalid(`metadata.labels[${key}]`, given, 'must be "latest" or "v1.x"');
  return minor === undefined ? "latest" : Number(minor);
}
