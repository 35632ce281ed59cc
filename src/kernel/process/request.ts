import type { Mount, RootPlan } from "#kernel/mounts/index.ts";

/** Kinds of namespaces a process can enter or get (namespaces(7)), the user namespace aside. */
export type NamespaceKind = "net" | "mount" | "uts" | "ipc" | "pid" | "cgroup";

/** A process to start: where it lives, what it may do, what it runs. */
export interface SpawnRequest {
  /**
   * Nothing of `argv` but its first word is used, as a name: the process only holds its namespaces. As the first of a
   * pid namespace it reaps what is orphaned there. It ends with SIGKILL.
   */
  readonly holds?: true;
  /** Program and arguments; a program without a slash is looked up in the PATH of `env`, inside. */
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Working directory inside; `/` when absent. */
  readonly cwd?: string;
  /** For each descriptor 0, 1, … of the child (at most 8): a descriptor of ours, or null for /dev/null. */
  readonly stdio: readonly (number | null)[];
  /** Enter namespaces of running processes before anything else; all of them when no list is given. */
  readonly join?: readonly { readonly pidfd: number; readonly namespaces?: readonly NamespaceKind[] }[];
  /** Make new namespaces, after joining. */
  readonly create?: {
    readonly namespaces: readonly Exclude<NamespaceKind, "net">[];
    /** Descriptor of the network namespace to live in; absent = the joined or our own. */
    readonly netns?: number;
    /** Host name to set; needs a new uts namespace. */
    readonly hostname?: string;
    /** Settings of the new namespaces by their names below /proc/sys, with dots. */
    readonly sysctls?: Readonly<Record<string, string>>;
    /** Mounts to make before the root, by paths of ours; they need a new mount namespace, and end with it. */
    readonly mounts?: readonly Mount[];
    /** Root file system to make and to enter; needs a new mount namespace. */
    readonly root?: RootPlan;
  };
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** Folder of a control group (version 2) that it is in before it runs its program. */
  readonly cgroup?: string;
  /**
   * With `cgroup` and a new root: the folder above it that is the highest of all groups it sees, on /sys/fs/cgroup, for
   * it to divide. Absent: `cgroup` itself is, read-only.
   */
  readonly cgroupRoot?: string;
  /** How readily the kernel ends it for want of memory (proc(5), oom_score_adj). It is never made less than ours. */
  readonly oomScoreAdj?: number;
  /**
   * The capabilities to keep ("chown", "net_bind_service", …, as capabilities(7) without CAP_), with no_new_privs set.
   * Absent: everything the caller has.
   */
  readonly capabilities?: readonly string[];
  /** With `capabilities`: no_new_privs is not set, so that programs with file capabilities and set-user-ID work. */
  readonly mayGainPrivileges?: boolean;
  /** A terminal of the new root's devpts as descriptors 0–2 and controlling terminal; `stdio` is not used. */
  readonly tty?: boolean;
}
