import type { Container, Pod, SecurityContext } from "#api/index.ts";
import { type ContainerImage, namedUser } from "../images/index.ts";
import { DEFAULT_CAPABILITIES } from "../runtime/index.ts";
import { capabilityName, EVERY_CAPABILITY } from "../spec/capabilities.ts";
import { ContainerConfigError } from "../spec/env.ts";

/** As whom a container's first process runs. */
export interface ContainerIdentity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups: the gid itself, then all others. */
  readonly groups: readonly number[];
}

/** What a container's process may do, and as whom. */
export interface ContainerSecurity {
  /** Absent: root. */
  readonly user?: ContainerIdentity;
  /** Absent for privileged containers: all. */
  readonly capabilities?: readonly string[];
  readonly privileged: boolean;
  /** Programs with file capabilities and set-user-ID work. */
  readonly mayGainPrivileges: boolean;
  /** Nothing of /proc is hidden or read-only. */
  readonly unmaskedProc: boolean;
  readonly readonlyRoot: boolean;
}

/**
 * ALL goes first, what is added or dropped by name after it; unknown names do nothing, of which an event tells.
 * Source: containerd (customopts, WithCapabilities) and runc, which warns of unknown names and goes on.
 */
function capabilitiesOf({ add, drop }: NonNullable<SecurityContext["capabilities"]> = {}): string[] {
  const added = (add ?? []).map(capabilityName);
  const dropped = new Set((drop ?? []).map(capabilityName));
  const all = added.includes("all") ? EVERY_CAPABILITY : DEFAULT_CAPABILITIES;
  const base = dropped.has("all") ? [] : all;
  return [...new Set([...base, ...added])].filter((name) => EVERY_CAPABILITY.includes(name) && !dropped.has(name));
}

/** @throws ContainerConfigError when runAsNonRoot forbids the user */
function refuseRoot(pod: Pod, { securityContext: own }: Container, uid: number, name: string | undefined): void {
  if (!(own?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot)) return;
  if (name !== undefined)
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${name}), cannot verify user is non-root`,
    );
  if (uid === 0) throw new ContainerConfigError("container has runAsNonRoot and image will run as root");
}

/**
 * As whom a container runs: as its securityContext or the pod's says, else as the image says. The image's /etc/group
 * counts for users of both kinds, unless the pod's supplementalGroupsPolicy is Strict.
 * @throws ContainerConfigError when runAsNonRoot forbids the user
 */
export function containerIdentity(
  pod: Pod,
  container: Container,
  image: Pick<ContainerImage, "user" | "files" | "layers">,
): ContainerIdentity {
  const own = container.securityContext;
  const shared = pod.spec.securityContext;
  const asked = own?.runAsUser ?? shared?.runAsUser;
  const account = asked === undefined ? image.user : namedUser(String(asked), image);
  const uid = asked ?? account?.uid ?? 0;
  refuseRoot(pod, container, uid, asked === undefined ? image.user?.name : undefined);
  const gid = own?.runAsGroup ?? shared?.runAsGroup ?? account?.gid ?? 0;
  const groups = [
    gid,
    ...(shared?.supplementalGroupsPolicy === "Strict" ? [] : (account?.groups ?? [])),
    ...(shared?.supplementalGroups ?? []),
    ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup]),
  ];
  return { uid, gid, groups: [...new Set(groups)] };
}

/** The rights of a container, from its securityContext. @param identity of its first process */
export function containerSecurity(
  { securityContext: own }: Container,
  identity: ContainerIdentity | undefined,
): ContainerSecurity {
  const privileged = own?.privileged ?? false;
  const isRoot = identity?.groups.every((gid) => gid === 0) && identity.uid === 0;
  return {
    ...(identity && !isRoot ? { user: identity } : {}),
    ...(privileged ? {} : { capabilities: capabilitiesOf(own?.capabilities) }),
    privileged,
    mayGainPrivileges: own?.allowPrivilegeEscalation ?? false,
    unmaskedProc: own?.procMount === "Unmasked",
    readonlyRoot: own?.readOnlyRootFilesystem ?? false,
  };
}
