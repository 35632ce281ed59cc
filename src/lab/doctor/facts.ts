/** What a trial of a kernel feature said; `error` is the program's own words. */
export interface Trial {
  readonly ok: boolean;
  readonly error?: string;
}

/** Everything that the doctor looks at, gathered by `probeMachine` and judged by `judge`. */
export interface MachineFacts {
  /** As uname says it, such as `6.8.0-45-generic`. */
  readonly kernel: string;
  /** Node's name of the architecture, such as `x64`. */
  readonly architecture: string;
  /** ID and VERSION_ID of /etc/os-release, such as `ubuntu 24.04`. */
  readonly distribution: string;
  /** Version of the running Node, without the `v`. */
  readonly node: string;
  readonly nodePath: string;
  readonly uid: number;
  readonly user: string;
  /** Does a new user namespace come into being, for this user? */
  readonly userNamespace: Trial;
  /** kernel.unprivileged_userns_clone (Debian's switch); undefined where the kernel lacks it. */
  readonly unprivilegedClone: number | undefined;
  /** user.max_user_namespaces */
  readonly maxUserNamespaces: number | undefined;
  /** kernel.apparmor_restrict_unprivileged_userns (Ubuntu's switch); undefined where the kernel lacks it. */
  readonly appArmorRestricts: number | undefined;
  /** Paths of newuidmap and newgidmap, when both are there. */
  readonly idMappers: boolean;
  /** Sizes of this user's ranges in /etc/subuid and /etc/subgid; the first id that is in nobody's range. */
  readonly subordinateIds: { readonly uids: number; readonly gids: number; readonly free: number };
  /** Does an overlay mount inside a user namespace? */
  readonly overlay: Trial;
  /** Link kinds and nftables inside a network namespace, by name. */
  readonly network: Readonly<Record<string, Trial>>;
  /** Is there net.bridge.bridge-nf-call-iptables? */
  readonly bridgeNetfilter: boolean;
  /** Can this user open /dev/net/tun? "absent" where there is none. */
  readonly tun: "open" | "closed" | "absent";
  readonly cgroups: "v2" | "hybrid" | "v1" | "none";
  /** Where machines find crun, the second container runtime; undefined when it is not there. */
  readonly crun: string | undefined;
  /** Hard limit of open files of this process. */
  readonly openFiles: number;
  /** Folder of the machines' tools, and the programs that neither it nor the host has. */
  readonly tools: { readonly folder: string; readonly there: boolean; readonly missing: readonly string[] };
  /** Can an ordinary user install packages here by apt? */
  readonly apt: boolean;
}
