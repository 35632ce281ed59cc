import type { RootPlan } from "#kernel/mounts/index.ts";

/** Kinds of namespaces a process can enter or get (namespaces(7)), the user namespace aside. */
export type NamespaceKind = "net" | "mount" | "uts" | "ipc" | "pid" | "cgroup";

/** A process to start: where it lives, what it may do, what it runs. */
export interface SpawnRequest {
  /** Program and arguments; a program without a slash is looked up in the PATH of `env`, inside. */
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Working directory inside; `/` when absent. */
  readonly cwd?: string;
  /** For each descriptor 0, 1, … of the child (at most 8): a descriptor of ours, or null for /dev/null. */
  readonly stdio: readonly (number | null)[];
  /** Enter namespaces of a running process before anything else; all of them when no list is given. */
  readonly join?: { readonly pidfd: number; readonly namespaces?: readonly NamespaceKind[] };
  /** Make new namespaces, after joining. */
  readonly create?: {
    readonly namespaces: readonly Exclude<NamespaceKind, "net">[];
    /** Descriptor of the network namespace to live in; absent = the joined or our own. */
    readonly netns?: number;
    /** Host name to set; needs a new uts namespace. */
    readonly hostname?: string;
    /** Root file system to make and to enter; needs a new mount namespace. */
    readonly root?: RootPlan;
  };
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /**
   * The capabilities to keep ("chown", "net_bind_service", …, as capabilities(7) without CAP_), with no_new_privs set.
   * Absent: everything the caller has.
   */
  readonly capabilities?: readonly string[];
  /**
   * The root may hold nothing but the program: no shell, no setpriv(1). What they would do is done without them, and
   * the program's absence is an error of the start.
   */
  readonly bare?: boolean;
  /** A terminal of the new root's devpts as descriptors 0–2 and controlling terminal; `stdio` is not used. */
  readonly tty?: boolean;
}

/** Script of the gate: waits for a line on descriptor 9, then becomes the program. Arguments: the program. */
const GATE = 'read -r _ <&9 || exit 125; exec "$@" 9<&-';
/** As GATE, but mounts its own /proc first and says so on descriptor 8. */
const GATE_WITH_PROC =
  'mount -t proc -o nosuid,nodev,noexec proc /proc || exit 125; echo >&8; read -r _ <&9 || exit 125; exec "$@" 8>&- 9<&-';

/** How /proc of the new process comes to be. */
export type ProcMode = "none" | "gate" | "self";

/**
 * The command that is really executed: the program behind what confines it and what lets it wait.
 * Scripts are constants; nothing of the request becomes shell text.
 */
export function commandOf(request: SpawnRequest, proc: ProcMode): string[] {
  const command = confine(request);
  if (proc === "none") return command;
  return ["/bin/sh", "-c", proc === "gate" ? GATE : GATE_WITH_PROC, "sh", ...command];
}

function confine(request: SpawnRequest): string[] {
  const { argv, user, capabilities } = request;
  if (!user && !capabilities) return argv[0].includes("/") ? [...argv] : ["/usr/bin/env", "--", ...argv];
  const options: string[] = [];
  if (user) {
    options.push(`--reuid=${user.uid}`, `--regid=${user.gid}`);
    options.push(user.groups.length ? `--groups=${user.groups.join(",")}` : "--keep-groups");
  }
  if (capabilities) {
    const kept = capabilities.map((c) => `+${c}`).join(",");
    options.push("--no-new-privs", "--inh-caps=-all", `--bounding-set=-all${kept ? `,${kept}` : ""}`);
  }
  return ["/usr/bin/setpriv", ...options, "--", ...argv];
}
