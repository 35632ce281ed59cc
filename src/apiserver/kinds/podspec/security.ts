import type {
  V1AppArmorProfile,
  V1PodSecurityContext,
  V1PodSpec,
  V1SeccompProfile,
  V1SecurityContext,
} from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { oneOf, oneOfOrNone } from "../checks.ts";

/** Security contexts (ValidateSecurityContext, validatePodSpecSecurityContext of core/validation). */

const idRange = "must be between 0 and 2147483647, inclusive";

function validateId(id: number | undefined, path: string, errors: FieldErrors): void {
  if (id !== undefined && (id < 0 || id > 2 ** 31 - 1)) errors.invalid(path, id, idRange);
}

/** A container's. @param hostUsers whether the pod shares the host's user namespace */
export function validateSecurity(
  sc: V1SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
  errors: FieldErrors,
): void {
  if (!sc) return;
  validateId(sc.runAsUser, `${path}.runAsUser`, errors);
  validateId(sc.runAsGroup, `${path}.runAsGroup`, errors);
  validateProfiles(sc, path, errors);
  oneOfOrNone(sc.procMount, ["Default", "Unmasked"], `${path}.procMount`, errors);
  if (hostUsers && sc.procMount === "Unmasked")
    errors.invalid(`${path}.procMount`, sc.procMount, "`hostUsers` must be false to use `Unmasked`");
  if (sc.allowPrivilegeEscalation !== false) return;
  if (sc.privileged)
    errors.invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  if (sc.capabilities?.add?.includes("CAP_SYS_ADMIN"))
    errors.invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
}

function validateProfiles(
  context: { seccompProfile?: V1SeccompProfile; appArmorProfile?: V1AppArmorProfile },
  path: string,
  errors: FieldErrors,
): void {
  const { seccompProfile: seccomp, appArmorProfile: armor } = context;
  if (seccomp) validateProfile(seccomp, "seccomp", `${path}.seccompProfile`, errors);
  if (armor) validateProfile(armor, "AppArmor", `${path}.appArmorProfile`, errors);
}

function validateProfile(
  { type, localhostProfile }: V1SeccompProfile,
  what: "seccomp" | "AppArmor",
  path: string,
  errors: FieldErrors,
): void {
  if (!type) errors.required(`${path}.type`, what === "seccomp" ? "type is required when seccompProfile is set" : "");
  else oneOf(type, ["Localhost", "RuntimeDefault", "Unconfined"], `${path}.type`, errors);
  if (type === "Localhost" && localhostProfile === undefined)
    errors.required(`${path}.localhostProfile`, `must be set when ${what} type is Localhost`);
  if (type !== "Localhost" && localhostProfile !== undefined)
    errors.invalid(`${path}.localhostProfile`, localhostProfile, `can only be set when ${what} type is Localhost`);
}

/** A pod's. */
export function validatePodSecurity(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  const sc: V1PodSecurityContext = spec.securityContext ?? {};
  const at = `${path}.securityContext`;
  if (spec.shareProcessNamespace && spec.hostPID)
    errors.invalid(
      `${at}.shareProcessNamespace`,
      spec.shareProcessNamespace,
      "ShareProcessNamespace and HostPID cannot both be enabled",
    );
  validateId(sc.fsGroup, `${at}.fsGroup`, errors);
  validateId(sc.runAsUser, `${at}.runAsUser`, errors);
  validateId(sc.runAsGroup, `${at}.runAsGroup`, errors);
  sc.supplementalGroups?.forEach((id, i) => {
    validateId(id, `${at}.supplementalGroups[${i}]`, errors);
  });
  validateSysctls(sc, `${at}.sysctls`, errors);
  oneOfOrNone(sc.fsGroupChangePolicy, ["Always", "OnRootMismatch"], `${at}.fsGroupChangePolicy`, errors);
  oneOfOrNone(sc.supplementalGroupsPolicy, ["Merge", "Strict"], `${at}.supplementalGroupsPolicy`, errors);
  validateProfiles(sc, at, errors);
  validateHostUsers(spec, path, errors);
}

const sysctlSegment = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const sysctlPattern = new RegExp(`^(${sysctlSegment}[\\./])*${sysctlSegment}$`);

function validateSysctls(sc: V1PodSecurityContext, path: string, errors: FieldErrors): void {
  const names = new Set<string>();
  sc.sysctls?.forEach(({ name }, i) => {
    const at = `${path}[${i}].name`;
    if (!name) errors.required(at);
    else if (name.length > 253 || !sysctlPattern.test(name))
      errors.invalid(
        at,
        name,
        `must have at most 253 characters and match regex ^(${sysctlSegment}[\\./])*${sysctlSegment}$`,
      );
    else if (names.has(name)) errors.duplicate(at, name);
    names.add(name ?? "");
  });
}

/** A user namespace of the pod's own does not go with the host's other namespaces. */
function validateHostUsers(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  if (spec.hostUsers !== false) return;
  for (const [field, what] of [
    ["hostNetwork", "hostNetwork"],
    ["hostPID", "HostPID"],
    ["hostIPC", "HostIPC"],
  ] as const) {
    if (spec[field]) errors.forbidden(`${path}.${field}`, `when \`hostUsers\` is false, \`${what}\` must not be set`);
  }
}
