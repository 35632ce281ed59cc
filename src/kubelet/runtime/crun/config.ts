import type { Mount } from "#kernel/mounts/index.ts";
import type { NamespaceKind, SpawnRequest } from "#kernel/process/index.ts";

/** Version of the format (github.com/opencontainers/runtime-spec, config.md). */
const OCI_VERSION = "1.0.2";

/** Names of namespaces in the format. */
const NAMESPACES: Readonly<Record<NamespaceKind, string>> = {
  net: "network",
  mount: "mount",
  uts: "uts",
  ipc: "ipc",
  pid: "pid",
  cgroup: "cgroup",
};

/** Devices that every runtime makes without being told (config-linux.md, "Default Devices"). */
const DEFAULT_DEVICES: ReadonlySet<string> = new Set(
  ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`),
);

/** A mount of the format. */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** What of the format is used. */
export interface OciConfig {
  readonly ociVersion: string;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly process: {
    readonly terminal: boolean;
    readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly noNewPrivileges: boolean;
    readonly capabilities: Readonly<Record<"bounding" | "effective" | "permitted", readonly string[]>>;
  };
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly sysctl?: Readonly<Record<string, string>>;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

/** A namespace to enter, by the path of a file that stands for it. */
export interface NamespacePath {
  readonly kind: NamespaceKind;
  readonly path: string;
}

function isDefaultDevice({ type, source, target }: Mount): boolean {
  return type === "bind" && source === target && DEFAULT_DEVICES.has(target);
}

function mountOf({ target, type, source, options, readonly, recursive, nosuid, nodev, noexec }: Mount): OciMount {
  const flags = { ro: readonly, nosuid, nodev, noexec };
  // What is mounted anew has these, whoever asks for it: as our own runtime does.
  const ofProc = type === "proc" ? { nosuid: true, nodev: true, noexec: true } : {};
  const named = Object.entries({ ...flags, ...ofProc }).flatMap(([name, isSet]) => (isSet ? [name] : []));
  const bind = type === "bind" ? [recursive ? "rbind" : "bind"] : [];
  return {
    destination: target,
    type,
    source: source ?? type,
    options: [...bind, ...named, ...(options === undefined ? [] : options.split(","))],
  };
}

function named(capabilities: readonly string[]): string[] {
  return capabilities.map((name) => `CAP_${name.toUpperCase()}`);
}

/**
 * The OCI configuration of a container that our own runtime would start by the same request. Its root's own mount is
 * left out: that is made before the runtime is started, as a snapshotter does it.
 * @param namespaces those that it enters; what the request makes is made by the runtime
 * @param permitted the capabilities that can be given at all, named as in the request
 * @throws Error for a request without a root
 */
export function ociConfig(
  request: SpawnRequest,
  namespaces: readonly NamespacePath[],
  permitted: readonly string[],
): OciConfig {
  const { create, user, capabilities, env } = request;
  if (!create?.root) throw new Error("a container has a root of its own");
  const { root } = create;
  const kept = named(permitted.filter((name) => capabilities?.includes(name) ?? true));
  const held = (user?.uid ?? 0) === 0 ? kept : [];
  return {
    ociVersion: OCI_VERSION,
    root: { path: root.directory, readonly: root.readonlyRoot ?? false },
    ...(create.hostname === undefined ? {} : { hostname: create.hostname }),
    process: {
      terminal: request.tty ?? false,
      user: { uid: user?.uid ?? 0, gid: user?.gid ?? 0, ...(user ? { additionalGids: user.groups } : {}) },
      args: request.argv,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      cwd: request.cwd ?? "/",
      noNewPrivileges: capabilities !== undefined && !request.mayGainPrivileges,
      capabilities: { bounding: kept, effective: held, permitted: held },
    },
    mounts: root.mounts.filter((m) => m.target !== "/" && !isDefaultDevice(m)).map(mountOf),
    linux: {
      namespaces: [
        ...create.namespaces.map((kind) => ({ type: NAMESPACES[kind] })),
        // The group that it is started in is the root of all that it sees.
        ...(request.cgroup === undefined ? [] : [{ type: NAMESPACES.cgroup }]),
        ...namespaces.map(({ kind, path }) => ({ type: NAMESPACES[kind], path })),
      ],
      ...(create.sysctls && Object.keys(create.sysctls).length ? { sysctl: create.sysctls } : {}),
      maskedPaths: root.maskedPaths ?? [],
      readonlyPaths: root.readonlyPaths ?? [],
    },
  };
}
