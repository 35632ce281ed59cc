import type { Container, Pod, SecurityContext } from "#api/index.ts";
import { type ContainerImage, namedUser } from "../images/index.ts";
import { DEFAULT_CAPABILITIES } from "../runtime/index.ts";
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

/** Capabilities added by name that mean every one there is (capabilities(7)). */
const EVERY = [
  ...DEFAULT_CAPABILITIES,
  ...["dac_read_search", "linux_immutable", "net_broadcast", "net_admin", "ipc_lock", "ipc_owner", "sys_module"],
  ...["sys_rawio", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time"],
  ...["sys_tty_config", "lease", "audit_control", "mac_override", "mac_admin", "syslog", "wake_alarm"],
  ...["block_suspend", "audit_read"],
];

function named(names: readonly string[] | undefined): string[] {
  return (names ?? []).map((n) => n.toLowerCase().replace(/^cap_/, ""));
}

function capabilitiesOf({ add, drop }: NonNullable<SecurityContext["capabilities"]> = {}): string[] {
  const added = named(add);
  const dropped = new Set(named(drop));
  const base = added.includes("all") ? EVERY : DEFAULT_CAPABILITIES;
  const kept = dropped.has("all") ? [] : base.filter((c) => !dropped.has(c));
  return [...new Set([...kept, ...added.filter((c) => c !== "all")])];
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
