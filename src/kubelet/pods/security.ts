import type { Container, Pod } from "#api/index.ts";
import type { ContainerImage } from "../images/index.ts";
import { DEFAULT_CAPABILITIES } from "../runtime/index.ts";
import { ContainerConfigError } from "../spec/env.ts";

/** What a container's process may do, and as whom. */
export interface ContainerSecurity {
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
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

function capabilitiesOf(container: Container): string[] {
  const { add, drop } = container.securityContext?.capabilities ?? {};
  const added = named(add);
  const dropped = new Set(named(drop));
  const base = added.includes("all") ? EVERY : DEFAULT_CAPABILITIES;
  const kept = dropped.has("all") ? [] : base.filter((c) => !dropped.has(c));
  return [...new Set([...kept, ...added.filter((c) => c !== "all")])];
}

/**
 * The identity and the rights of a container, from its securityContext, the pod's and the image's user.
 * @throws ContainerConfigError when runAsNonRoot forbids the user
 */
export function containerSecurity(
  pod: Pod,
  container: Container,
  image: Pick<ContainerImage, "user">,
): ContainerSecurity {
  const own = container.securityContext;
  const shared = pod.spec.securityContext;
  const uid = own?.runAsUser ?? shared?.runAsUser ?? image.user?.uid ?? 0;
  const gid = own?.runAsGroup ?? shared?.runAsGroup ?? image.user?.gid ?? 0;
  const nonRoot = own?.runAsNonRoot ?? shared?.runAsNonRoot;
  const named = own?.runAsUser === undefined && shared?.runAsUser === undefined ? image.user?.name : undefined;
  if (nonRoot && named !== undefined)
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${named}), cannot verify user is non-root`,
    );
  if (nonRoot && uid === 0) {
    throw new ContainerConfigError("container has runAsNonRoot and image will run as root");
  }
  const ofImage = own?.runAsUser === undefined && shared?.runAsUser === undefined ? (image.user?.groups ?? []) : [];
  const groups = [
    ...ofImage,
    ...(shared?.supplementalGroups ?? []),
    ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup]),
  ];
  const isRoot = uid === 0 && gid === 0 && groups.length === 0;
  const privileged = own?.privileged ?? false;
  return {
    ...(isRoot ? {} : { user: { uid, gid, groups: groups.length ? groups : [gid] } }),
    ...(privileged ? {} : { capabilities: capabilitiesOf(container) }),
    privileged,
    mayGainPrivileges: own?.allowPrivilegeEscalation ?? false,
    unmaskedProc: own?.procMount === "Unmasked",
    readonlyRoot: own?.readOnlyRootFilesystem ?? false,
  };
}
