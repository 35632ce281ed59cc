import type { PodSpec } from "#api/index.ts";
import type { BoundResource } from "../cgroups/index.ts";
import { isUnknownCapability } from "./capabilities.ts";

/** A field of a pod that this node reads past, and what that means. */
export interface UnsupportedField {
  /** Such as `spec.containers[0].ports[1].hostPort`. */
  readonly field: string;
  readonly why: string;
}

/** Resources whose limits bind on this node. */
type Bound = ReadonlySet<BoundResource>;

interface Row {
  /** Below `spec`; `[]` for each element of a list. */
  readonly path: string;
  readonly why: string;
  /** Whether the value asks for something that is missing. Default: whenever it is set. */
  readonly when?: (value: unknown, spec: PodSpec, bound: Bound) => boolean;
}

const LIMITS = "containers run without cgroup limits; only the scheduler and the quality-of-service class count them";
const NO_LABELS = "no security labels are set on processes and files";
const NO_SECCOMP = "no system call filter is set";
const FLAT_MOUNTS = "volumes are bind mounts that neither pass mounts on nor see later ones";

const isOther =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    !values.includes(value);

/** Limits that a node itself would bind; those of other resources are the scheduler's alone. */
const LIMITED = /^(cpu|memory|ephemeral-storage|hugepages-.*)$/;

/** Whether there is a limit that does not bind. */
function isLoose(limits: unknown, _: PodSpec, bound: Bound): boolean {
  if (bound.size === 0) return isSet(limits);
  const names = Object.keys((limits as object | undefined) ?? {});
  return names.some((name) => LIMITED.test(name) && !bound.has(name as BoundResource));
}

/** Profiles that are no profile ask for nothing. */
const isProfile = (value: unknown) => (value as { readonly type?: string }).type !== "Unconfined";

/** Whether a setting is one of a network or an IPC namespace that the pod does not share with its node. */
function isOwnSysctl(name: string, { hostNetwork, hostIPC }: PodSpec): boolean {
  if (name.startsWith("net.")) return !hostNetwork;
  return /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(name) && !hostIPC;
}

/** Fields of a container of any list. */
const CONTAINER: readonly Row[] = [
  { path: "resources.limits", why: LIMITS, when: isLoose },
  { path: "resources.claims", why: "there is no dynamic resource allocation" },
  {
    path: "restartPolicyRules[].action",
    why: "a container is restarted alone",
    when: isOther("Restart"),
  },
  { path: "volumeDevices", why: "there are no block devices" },
  { path: "volumeMounts[].mountPropagation", why: FLAT_MOUNTS, when: isOther("None") },
  {
    path: "volumeMounts[].recursiveReadOnly",
    why: "mounts below a volume keep their own mode",
    when: isOther("Disabled"),
  },
  { path: "env[].valueFrom.fileKeyRef", why: "the variable is not set" },
  { path: "securityContext.seccompProfile", why: NO_SECCOMP, when: isProfile },
  { path: "securityContext.appArmorProfile", why: NO_LABELS, when: isProfile },
  { path: "securityContext.seLinuxOptions", why: NO_LABELS },
  ...["add", "drop"].map((list) => ({
    path: `securityContext.capabilities.${list}[]`,
    why: "there is no capability of this name",
    when: (name: unknown) => isUnknownCapability(String(name)),
  })),
];

/** Fields of a pod, and of each of its containers. What others act on (scheduler, admission) is not here. */
const ROWS: readonly Row[] = [
  { path: "hostUsers", why: "the pod lives in the node's user namespace", when: (value) => value === false },
  { path: "resourceClaims", why: "there is no dynamic resource allocation" },
  { path: "resources.limits", why: LIMITS, when: isLoose },
  { path: "volumes[].projected.sources[].clusterTrustBundle", why: "the files are not there" },
  { path: "volumes[].projected.sources[].podCertificate", why: "the files are not there" },
  {
    path: "securityContext.sysctls[].name",
    why: "only settings of namespaces that the pod has for itself can be set",
    when: (name, spec) => !isOwnSysctl(String(name), spec),
  },
  { path: "securityContext.seccompProfile", why: NO_SECCOMP, when: isProfile },
  { path: "securityContext.appArmorProfile", why: NO_LABELS, when: isProfile },
  { path: "securityContext.seLinuxOptions", why: NO_LABELS },
  { path: "securityContext.windowsOptions", why: "this is Linux" },
  ...["initContainers", "containers", "ephemeralContainers"].flatMap((list) =>
    CONTAINER.map((row): Row => ({ ...row, path: `${list}[].${row.path}` })),
  ),
];

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

function limitsWhy(bound: Bound): string {
  return bound.size === 0 ? LIMITS : `this machine's control groups bind only limits of ${[...bound].join(" and ")}`;
}

/** Values at a path, each with the name of its place. */
function* valuesAt(value: unknown, path: readonly string[], place: string): Generator<[string, unknown]> {
  const [step, ...rest] = path;
  if (step === undefined) yield [place, value];
  else if (typeof value !== "object" || value === null) return;
  else if (step.endsWith("[]")) {
    const list = (value as Record<string, unknown>)[step.slice(0, -2)];
    for (const [i, element] of Array.isArray(list) ? list.entries() : [])
      yield* valuesAt(element, rest, `${place}.${step.slice(0, -2)}[${i}]`);
  } else yield* valuesAt((value as Record<string, unknown>)[step], rest, `${place}.${step}`);
}

/**
 * The fields of a pod that are set and that this node does not act on.
 * @param bound resources whose limits bind; without: none
 */
export function unsupportedFields(spec: PodSpec, bound: Bound = new Set()): UnsupportedField[] {
  return ROWS.flatMap(({ path, why, when = isSet }) =>
    [...valuesAt(spec, path.split("."), "spec")]
      .filter(([, value]) => value !== undefined && value !== null && when(value, spec, bound))
      .map(([field]) => ({ field, why: why === LIMITS ? limitsWhy(bound) : why })),
  );
}

/** One sentence about all of them for an event; fields with one reason share it. Undefined when there are none. */
export function unsupportedMessage(fields: readonly UnsupportedField[]): string | undefined {
  if (fields.length === 0) return undefined;
  const reasons = Map.groupBy(fields, ({ why }) => why);
  const parts = [...reasons].map(([why, of]) => `${of.map(({ field }) => field).join(", ")} (${why})`);
  return `Fields that this node does not act on: ${parts.join("; ")}`;
}
